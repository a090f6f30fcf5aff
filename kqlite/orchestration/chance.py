"""Random draws. Each draw is a hash of seed, purpose, resource and counter.

No draw depends on the number of draws before it. So another VM changes no draw of the existing VMs, and a restart needs no saved generator.
"""

from __future__ import annotations

from hashlib import blake2b

_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_UNIT = float(1 << 53)


class Chance:
    """The random streams of one simulation.

    The methods share their arguments: `purpose` names the stream, `key` the resource, and `counter` the draw within it.
    """

    __slots__ = ("_base", "seed")

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._base = blake2b(digest_size=8, key=str(seed).encode()[:64])

    def number(self, purpose: str, key: int | str, counter: int = 0) -> int:
        """A whole number from 0 to 2**64 - 1."""
        hasher = self._base.copy()
        hasher.update(f"{purpose}:{key}:{counter}".encode())
        return int.from_bytes(hasher.digest(), "big")

    def uniform(self, purpose: str, key: int | str, counter: int = 0) -> float:
        """A number from 0 up to, but not including, 1."""
        return (self.number(purpose, key, counter) >> 11) / _UNIT

    def triangular(self, bounds: tuple[float, float, float], purpose: str, key: int | str, counter: int = 0) -> float:
        """A number from the triangular distribution with these bounds: lowest, likeliest, highest."""
        low, mode, high = bounds
        if high <= low:
            return low
        draw = self.uniform(purpose, key, counter)
        cut = (mode - low) / (high - low)
        if draw < cut:
            return float(low + ((high - low) * (mode - low) * draw) ** 0.5)
        return float(high - ((high - low) * (high - mode) * (1.0 - draw)) ** 0.5)

    def uid(self, resource_id: str, time: int) -> int:
        """The unique number of a resource that is created at `time`."""
        return self.number("uid", resource_id.lower(), time) >> 1

    def guid(self, purpose: str, key: int | str, counter: int = 0) -> str:
        """A random guid."""
        return _guid(f"{self.number(purpose, key, counter):016x}{self.number(purpose + '+', key, counter):016x}")


def derived_hex(uid: int, purpose: str) -> str:
    """32 hex digits computed from a resource's unique number, so that its documents need no seed."""
    return blake2b(f"{purpose}:{uid}".encode(), digest_size=16).hexdigest()


def derived_guid(uid: int, purpose: str) -> str:
    """A guid computed from a resource's unique number."""
    return _guid(derived_hex(uid, purpose))


def derived_base36(uid: int, purpose: str, length: int) -> str:
    """Upper-case letters and digits computed from a resource's unique number."""
    number = int(derived_hex(uid, purpose), 16)
    letters = []
    for _ in range(length):
        number, digit = divmod(number, 36)
        letters.append(_BASE36[digit])
    return "".join(letters)


def _guid(digits: str) -> str:
    # Version 4, variant 1: readers that check the form of a guid accept it.
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"
