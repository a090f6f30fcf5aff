"""How far a store has read the change feed: what the snapshotter stores beside the rows, and resumes from.

The store keeps it as JSON text, written in the transaction that writes the rows. It reads the member `sequence` of it, and no other.
"""

from __future__ import annotations

import json
from typing import NamedTuple, cast

from kqlite.orchestration.model import FaultState, Type, state_of
from kqlite.snapshotter.lag import Lag


class FeedOffset(NamedTuple):
    """The offset of a store in the change feed of one log.

    Args:
        sequence: The sequence number of the last event of the gapless prefix that is in the store; 0 in a new store.
        time: The time of that event, in microseconds since 1970.
        faults: The feed faults that are active at that event.
        lag: The lag by which the store came to this offset.
        fingerprint: Hash of that event, which tells this log from another one.
    """

    sequence: int = 0
    time: int = 0
    faults: tuple[FaultState, ...] = ()
    lag: Lag = Lag()
    fingerprint: str = ""

    @classmethod
    def from_json(cls, text: str | None) -> FeedOffset:
        """The offset in a store's text; None is that of a new store."""
        if text is None:
            return cls()
        document = json.loads(text)
        faults = tuple(cast("FaultState", state_of(Type.FAULT, fault)) for fault in document["faults"])
        return cls(document["sequence"], document["time"], faults, Lag.from_json(document["lag"]), document["mark"])

    def to_json(self) -> str:
        """The text that a store keeps."""
        document = {"sequence": self.sequence, "time": self.time, "faults": self.faults, "lag": self.lag.to_json()}
        return json.dumps({**document, "mark": self.fingerprint})
