"""What the camera's processor has left for a frame, and what a frame takes of it beside head and coder."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import median

from edge_client.planning.device_load import DeviceLoad

_FRAMES = 5


class Device:
    """Told by the thread that encodes where head and coder begin and end; reads Linux's counters in between.

    ::

        frame n                              link busy          frame n + 1
        ├── head, prompts, coder ──┤ handing on ├── plan, plan, ──┤ plan, taking ├── head, coder ──┤
                └──────┴───────────┴────────────┘                 └──────────────┘
                   overhead of a frame                              overhead of it

    Where a network is cut early, that is of the order of the head's own time. Plans that found the link busy are no
    frame's: they would make a slow link look like a slow camera.
    """

    def __init__(
        self,
        monotonic_s: Callable[[], float] = time.monotonic,
        load: DeviceLoad | None = None,
        processor_s: Callable[[], float] = time.thread_time,
    ) -> None:
        """``processor_s``: of the thread that encodes; what a live camera's own decodes in between is no frame's."""
        self._load, self._processor_s = load or DeviceLoad(monotonic_s), processor_s
        self._ended_s: float | None = None
        self._planned_s: float | None = None
        self._overheads_s: deque[float] = deque(maxlen=_FRAMES)

    @property
    def waited(self) -> float:
        """The share of the latest frame's time for which it was held up, 0 to 1."""
        return self._load.lately

    @property
    def load(self) -> float:
        """The share of a core that the next frame has to do without, 0 to 1."""
        return self._load.expected()

    @property
    def overhead_s(self) -> float:
        """Processor seconds of a frame beside head and coder, the median of the latest five; 0 before the second."""
        return median(self._overheads_s) if self._overheads_s else 0.0

    def plans(self) -> None:
        """The next frame is about to be planned. If there was a plan for it before, the link was busy in between."""
        now_s = self._processor_s()
        if self._ended_s is not None and self._planned_s is not None:
            self._ended_s += now_s - self._planned_s
        self._planned_s = now_s

    def begins(self) -> None:
        """A head is about to run."""
        if self._ended_s is not None:
            self._overheads_s.append(self._processor_s() - self._ended_s)
        self._planned_s = None
        self._ended_s = None  # a frame that no packet has room for is never coded: its head is no overhead of the next

    def coded(self, beside_s: float = 0.0) -> None:
        """Its frame was coded, and took so long beside head and coder before that: prompts, by the wall clock."""
        self._load.ran()
        self._ended_s = self._processor_s() - beside_s * (1 - self.waited)
