"""What a camera's probes say: it lives while it answers, and is ready while pictures come and Redis takes packets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_client.capture.camera_watch import CameraState
from edge_client.reading import Reading


@dataclass(frozen=True, slots=True)
class EdgeHealth:
    """The probes of one camera."""

    stream: str
    read: Callable[[], Reading]

    def alive(self) -> dict[str, object]:
        """Which stream it is, and how many frames were sent."""
        return {"stream": self.stream, "frames_sent": self.read().stats.frames_sent}

    def reasons_not_ready(self) -> list[str]:
        """Why no frames arrive, or none that are of use."""
        reading = self.read()
        redis = [] if reading.trouble is None else [f"Redis takes no packets: {reading.trouble}"]
        state = reading.stats.camera_state
        return redis if state == CameraState.OK else [*redis, f"the camera is {state}"]
