"""All streams of the install, kept up to date by two rounds: who there is, and how each stands."""

from __future__ import annotations

from dataclasses import dataclass

from narrows.client.registry.camera_masks import FleetCameraMasks
from narrows.contract.wire import StreamSettings
from orchestrator.page.redis_view import DeadLetter, Pulse, RedisView
from orchestrator.page.rows import Row
from orchestrator.page.states import StreamActivity, StreamState

_NO_PULSE = Pulse(0, 0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class StreamTable:
    """Every stream's row at a moment of the server's clock, Unix milliseconds."""

    rows: tuple[Row, ...] = ()
    now_ms: float = 0.0


class Directory:
    """Tracks every stream. Its rounds block: call them from one thread at a time."""

    def __init__(self, view: RedisView) -> None:
        self._view = view
        self._settings: dict[str, StreamSettings | None] = {}
        self._tracks: dict[str, StreamActivity] = {}
        self._errors: dict[str, DeadLetter] = {}
        self._masks = FleetCameraMasks()

    def look_for_streams(self) -> None:
        """Find new streams, forget those that are gone, read all settings and what each sends.

        Raises:
            ServiceError: Redis is away or refuses.
        """
        self._settings = self._view.settings()
        self._masks = self._view.camera_masks()
        for gone in self._tracks.keys() - self._settings.keys():
            del self._tracks[gone]
        self._errors = {stream: error for stream, error in self._errors.items() if stream in self._settings}

    def feel_pulses(self) -> StreamTable:
        """How every stream stands now.

        Raises:
            ServiceError: Redis is away or refuses.
        """
        settings = self._settings
        pulses = self._view.pulses(settings)
        now_ms = self._view.time_ms()
        for stream, pulse in pulses.items():
            self._tracks.setdefault(stream, StreamActivity()).take(pulse, now_ms)
        self._errors |= {letter.stream: letter for letter in self._view.letters()}  # of streams not found yet, too
        return StreamTable(tuple(self._row(stream, now_ms) for stream in settings), now_ms)

    def _row(self, stream: str, now_ms: float) -> Row:
        track, settings = self._tracks[stream], self._settings[stream]
        state = track.state(now_ms)
        return Row(
            stream=stream,
            state=state,
            silent_s=track.silent_s(now_ms),
            mask_age_s=track.mask_age_s(now_ms),
            frames_per_s=track.frames_per_s,
            masks_per_s=track.masks_per_s,
            skipped_per_s=track.skipped_per_s,
            settings=settings or StreamSettings(),
            registered=settings is not None,
            pulse=track.pulse or _NO_PULSE,
            error=self._errors.get(stream),
            sends=None if state in {StreamState.DEAD, StreamState.NEW} else self._masks.sent(stream),
            asked_for_masks=stream in self._masks.asked,
        )
