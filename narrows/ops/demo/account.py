"""What became of every frame that was sent: counted from the cameras' journals and the outcomes, forced by nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from narrows.client.subscription import Outcome
from narrows.contract.wire import FrameIdentity, MaskPacket, ResultPacket
from narrows.runtime.words import counted


@dataclass
class StreamAccount:
    """One stream's frames, by identity.

    Attributes:
        sent: frames that the camera's journal says Redis took.
        unconfirmed: frames whose sending broke off between command and answer: they may have arrived.
        given_up: frames that the camera dropped before sending, by reason; they are not among the sent.
        masks: frames that ended in a mask.
        own: frames whose mask the camera made, whatever became of them.
        dropped: how the other frames ended, by reason.
        duplicates: outcomes of frames that had ended before.
        nameless: refusals, by reason, whose bytes yielded no identity.
    """

    sent: set[FrameIdentity] = field(default_factory=set)
    unconfirmed: set[FrameIdentity] = field(default_factory=set)
    given_up: Counter[str] = field(default_factory=Counter)
    masks: set[FrameIdentity] = field(default_factory=set)
    own: set[FrameIdentity] = field(default_factory=set)
    dropped: dict[FrameIdentity, str] = field(default_factory=dict)
    duplicates: int = 0
    nameless: Counter[str] = field(default_factory=Counter)

    def journal(self, identity: FrameIdentity, reason: str | None, *, own: bool = False) -> None:
        """A line of the camera's journal: sent, or given up for a reason, and whether the mask is the camera's own."""
        if own:
            self.own.add(identity)
        if reason is None:
            self.sent.add(identity)
            return
        self.given_up[reason] += 1
        if reason == "unconfirmed":
            self.unconfirmed.add(identity)

    def outcome(self, outcome: Outcome) -> bool:
        """An outcome arrived; answers whether it is the first of its frame."""
        identity = outcome.identity
        if identity is None:
            self.nameless["" if isinstance(outcome, MaskPacket | ResultPacket) else outcome.reason] += 1
            return False
        if self.has_ended(identity):
            self.duplicates += 1
            return False
        if isinstance(outcome, MaskPacket | ResultPacket):
            self.masks.add(identity)
        else:
            self.dropped[identity] = outcome.reason
        return True

    def has_ended(self, identity: FrameIdentity) -> bool:
        """Whether a frame has an outcome."""
        return identity in self.masks or identity in self.dropped

    @property
    def arrived(self) -> set[FrameIdentity]:
        """Frames that were sent: the confirmed, and the unconfirmed that ended nevertheless."""
        return self.sent | (self.unconfirmed & self.ended)

    @property
    def ended(self) -> set[FrameIdentity]:
        """Frames with an outcome."""
        return self.masks | self.dropped.keys()

    @property
    def masks_made_by(self) -> dict[str, int]:
        """How many masks the camera made, and how many the cloud."""
        camera = len(self.masks & self.own)
        return {"camera": camera, "cloud": len(self.masks) - camera}

    @property
    def unaccounted(self) -> list[FrameIdentity]:
        """Frames that were sent and have no outcome."""
        return sorted(self.sent - self.ended)

    @property
    def strangers(self) -> list[FrameIdentity]:
        """Outcomes of frames that no journal says were sent."""
        return sorted(self.ended - self.arrived)

    @property
    def dropped_by_reason(self) -> dict[str, int]:
        """How many frames ended without a mask, by reason."""
        return dict(sorted(Counter(self.dropped.values()).items()))

    @property
    def adds_up(self) -> bool:
        """Whether every frame that was sent ended once, and nothing else did."""
        balanced = len(self.arrived) == len(self.masks) + sum(self.dropped_by_reason.values())
        return balanced and not self.unaccounted and not self.strangers and not self.nameless and self.duplicates == 0


def faults(stream: str, account: StreamAccount) -> list[str]:
    """What does not add up in a stream's account, in words."""
    found = [
        (account.unaccounted, "sent and never ended"),
        (account.strangers, "ended but never sent"),
    ]
    words = [f"{stream}: {counted(len(frames), 'frame')} {what}: {_listed(frames)}" for frames, what in found if frames]
    words += [
        f"{stream}: {count} refusals ({reason}) without an identity" for reason, count in account.nameless.items()
    ]
    if account.duplicates:
        words.append(f"{stream}: {counted(account.duplicates, 'frame')} ended more than once")
    return words


def _listed(frames: list[FrameIdentity]) -> str:
    shown = ", ".join(str(frame.sequence) for frame in frames[:8])
    return f"sequence {shown}{' ...' if len(frames) > 8 else ''}"
