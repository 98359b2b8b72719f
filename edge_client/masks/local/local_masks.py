"""What a place for the newest mask does."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from narrows.contract.wire import FrameIdentity


class LocalMasks(Protocol):
    """Takes each mask as it is made. What is wrong there costs no frame."""

    def put(self, labels: NDArray[np.uint8], identity: FrameIdentity, capture_ms: int) -> None:
        """The mask ``(H, W)`` uint8 of the newest frame."""

    def close(self) -> None:
        """There will be no more."""
