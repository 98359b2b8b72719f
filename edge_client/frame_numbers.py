"""The identities of one boot's frames."""

from __future__ import annotations

from narrows.contract.wire import FrameIdentity


class FrameNumbers:
    """Gives each coded frame the next identity."""

    def __init__(self, epoch: int) -> None:
        self.upcoming = FrameIdentity(epoch, 0)
        """What the next coded frame will be."""

    def take(self) -> FrameIdentity:
        """The next frame's."""
        taken = self.upcoming
        self.upcoming = FrameIdentity(taken.epoch, taken.sequence + 1)
        return taken
