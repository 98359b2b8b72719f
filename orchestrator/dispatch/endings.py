"""How a frame ends."""

from __future__ import annotations

from msgspec import Struct

from narrows.contract.errors import FrameRefused
from narrows.contract.wire.feature import FrameIdentity
from narrows.contract.wire.outcome import MASK, REFUSED, SKIPPED, Refusal, Skip, outcome_to_json

OutputFields = tuple[tuple[bytes, bytes], ...]
"""Further fields of an outcome's entry, and their values."""


class Ending(Struct, frozen=True):
    """How a frame ends: its outcome's kind and body, the reason unless it is a mask, its identity if it has a place.

    ``outputs`` are the frame's outputs after the first; ``alone``: the body is of use without them.
    """

    kind: bytes
    body: bytes
    reason: str = ""
    detail: str = ""
    identity: FrameIdentity | None = None
    outputs: OutputFields = ()
    alone: bool = True

    @property
    def size_bytes(self) -> int:
        """Of all that the server is to keep."""
        return len(self.body) + (sum(len(value) for _, value in self.outputs) if self.outputs else 0)

    @classmethod
    def mask(cls, body: bytes, identity: FrameIdentity, outputs: OutputFields = (), *, alone: bool = True) -> Ending:
        """With a mask, or with outputs that have no label map beside them."""
        return cls(MASK, body, identity=identity, outputs=outputs, alone=alone)

    @classmethod
    def skipped(cls, reason: str, identity: FrameIdentity) -> Ending:
        """Without the network, by policy."""
        return cls(SKIPPED, outcome_to_json(Skip(identity, reason)), reason, identity=identity)

    @classmethod
    def refused(cls, refusal: FrameRefused, identity: FrameIdentity | None, *, placed: bool = True) -> Ending:
        """For a named reason; ``placed`` is false if its identity has no place in the stream's sequence."""
        detail = str(refusal)
        body = outcome_to_json(Refusal(refusal.reason, detail, identity))
        return cls(REFUSED, body, refusal.reason, detail, identity if placed else None)
