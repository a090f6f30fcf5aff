"""Azure's request limits, as token buckets on simulated time. They apply while a `throttle` fault of type "limits" is active.

A bucket holds a burst of tokens and is refilled each minute. A request takes a token from each of its buckets, and is refused if one is
empty. Buckets are not part of the state: they are full after a restart. Sources: Azure docs, "Throttling limits for Azure virtual machines
and virtual machine scale sets"; "Request limits and throttling".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kqlite.orchestration.clock import HOUR, MINUTE


class Policy(NamedTuple):
    """A limit for a kind of request. A bucket holds three times the tokens that it gets each minute.

    Args:
        name: Azure's name of the limit.
        resource: Tokens a minute for each resource; 0 for no limit.
        subscription: Tokens a minute for each subscription and region.
    """

    name: str
    resource: int
    subscription: int


_BURST = 3
_GET_OPERATION = Policy("GetOperation", 15, 5_000)
_VM = {
    "read": Policy("LowCostGet", 12, 8_000),
    "list": Policy("HighCostGet", 0, 300),
    "write": Policy("PutVM", 4, 500),
    "update": Policy("UpdateVM", 4, 500),
    "delete": Policy("DeleteVM", 4, 500),
}
_SET = {
    "read": Policy("GetVMScaleSet", 12, 800),
    "list": Policy("HighCostGetVMScaleSet", 10, 360),
    "write": Policy("PutVMScaleSet", 4, 125),
    "update": Policy("UpdateVMScaleSet", 4, 500),
    "delete": Policy("DeleteVMScaleSet", 4, 175),
}
_TABLES = {"virtualmachines": _VM, "virtualmachinescalesets": _SET}
_COUNTED_AS_DELETE = ("deallocate", "simulateeviction")
HOURLY = {"reads": 12_000, "writes": 1_200, "deletes": 15_000}


def kind_of(method: str) -> str:
    """The kind by which a subscription's hourly limits count: "reads", "writes" or "deletes"."""
    return "reads" if method in ("GET", "HEAD") else "deletes" if method == "DELETE" else "writes"


def policy_of(method: str, path: str) -> tuple[Policy, str] | None:
    """The policy of a request to Compute, and its resource ("" for a list). None for requests to other providers."""
    parts = path.lower().strip("/").split("/")
    _, _, rest = path.lower().partition("/providers/microsoft.compute/")
    words = rest.strip("/").split("/")
    if words[0] == "locations" and len(words) > 3 and words[2] == "operations":
        return _GET_OPERATION, words[3]
    if words[0] == "locations" and len(words) == 3:
        words = words[2:]
    table = _TABLES.get(words[0])
    if table is None:
        return None
    resource = "/".join([*parts[:4], *words[:2]]) if len(words) > 1 else ""
    return table[_verb(method, words)], resource


def _verb(method: str, words: list[str]) -> str:
    child = words[2] if len(words) > 2 else ""
    if method in ("GET", "HEAD"):
        return "list" if len(words) < 2 or (child == "virtualmachines" and len(words) < 4) else "read"
    if method == "DELETE":
        return "update" if child else "delete"
    if method == "POST" and (child in _COUNTED_AS_DELETE or child == "delete"):
        return "delete"
    return "write" if method == "PUT" and not child else "update"


@dataclass
class _Bucket:
    most: int
    refill: int  # in `every`
    every: int
    left: float
    since: int

    def fill(self, now: int) -> None:
        self.left = min(self.most, self.left + (now - self.since) * self.refill / self.every)
        self.since = now


@dataclass(frozen=True)
class Refusal:
    """An empty bucket.

    Args:
        policy: Name of the limit.
        allowed: Tokens in the full bucket.
        seconds: Seconds until it holds a token again.
    """

    policy: str
    allowed: int
    seconds: int


class Limits:
    """The buckets of one front door."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take(self, method: str, path: str, subscription: str, region: str, now: int) -> tuple[dict[str, str], Refusal | None]:
        """Take the tokens of a request. A refused request takes none.

        Args:
            method: HTTP method.
            path: Path of the request.
            subscription: Subscription of the request.
            region: Region of the request; "" for none.
            now: Simulated time.

        Returns:
            Headers that say how many tokens are left, and the empty bucket or None.
        """
        kind = kind_of(method)
        hourly = self._bucket(f"hourly {kind}", subscription, HOURLY[kind], HOURLY[kind], HOUR, now)
        buckets = [(f"Subscription{kind.capitalize()}", hourly)]
        found = policy_of(method, path)
        if found is not None:
            policy, resource = found
            if resource and policy.resource:
                own = self._bucket(policy.name, resource, policy.resource * _BURST, policy.resource, MINUTE, now)
                buckets.append((f"{policy.name}Resource", own))
            whole = self._bucket(policy.name, f"{subscription} {region}", policy.subscription * _BURST, policy.subscription, MINUTE, now)
            buckets.append((f"{policy.name}Subscription", whole))
        empty = next(((name, bucket) for name, bucket in buckets if bucket.left < 1), None)
        if empty is None:
            for _, bucket in buckets:
                bucket.left -= 1
        headers = {f"x-ms-ratelimit-remaining-subscription-{kind}": str(int(hourly.left))}
        if len(buckets) > 1:
            left = ",".join(f"Microsoft.Compute/{name};{int(bucket.left)}" for name, bucket in buckets[1:])
            headers |= {"x-ms-ratelimit-remaining-resource": left, "x-ms-request-charge": "0" if empty else "1"}
        if empty is None:
            return headers, None
        name, bucket = empty
        return headers, Refusal(name, bucket.most, max(1, round((1 - bucket.left) * bucket.every / bucket.refill / 1e6)))

    def _bucket(self, policy: str, owner: str, most: int, refill: int, every: int, now: int) -> _Bucket:
        bucket = self._buckets.get((policy, owner))
        if bucket is None:
            bucket = self._buckets[policy, owner] = _Bucket(most, refill, every, most, now)
        bucket.fill(now)
        return bucket
