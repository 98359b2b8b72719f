"""Claims about whether a stream lives, by a clock of the test's own."""

from __future__ import annotations

from orchestrator.page.redis_view import Pulse
from orchestrator.page.states import SILENT_S, StreamActivity, StreamState

BEGIN_MS = 1_000_000


def pulse(arrived: int, last_ms: float, *, waiting: int = 0, masks: int | None = None) -> Pulse:
    ended = arrived - waiting if masks is None else masks
    return Pulse(waiting, int(last_ms), arrived, ended, ended, 0, 0, 0)


def play(
    track: StreamActivity, frames_per_s: float, seconds: int, begin_ms: float = BEGIN_MS, arrived: int = 0
) -> float:
    """Feed a camera's pulses, once a second; answers when its last frame came."""
    last_ms = begin_ms
    for second in range(1, seconds + 1):
        now_ms = begin_ms + 1000 * second
        frames = int(frames_per_s * second)
        last_ms = begin_ms + 1000 * frames / frames_per_s if frames else 0
        track.take(pulse(arrived + frames, last_ms), now_ms)
    return last_ms


def test_a_stream_that_never_sent_is_new() -> None:
    track = StreamActivity()
    track.take(Pulse(0, 0, 0, 0, 0, 0, 0, 0), BEGIN_MS)
    assert track.state(BEGIN_MS) is StreamState.NEW
    assert track.silent_s(BEGIN_MS) is None


def test_frames_that_come_and_end_are_a_live_stream() -> None:
    track = StreamActivity()
    play(track, 5, 20)
    assert track.state(BEGIN_MS + 20_000) is StreamState.LIVE
    assert track.frames_per_s == track.masks_per_s == 5


def test_a_stream_that_dies_is_dead_well_within_five_seconds() -> None:
    track = StreamActivity()
    last_ms = play(track, 5, 20)
    died = pulse(100, last_ms)
    for second in (1, 2):
        track.take(died, last_ms + 1000 * second)
        assert track.state(last_ms + 1000 * second) is StreamState.LIVE
    track.take(died, last_ms + 3000)
    assert track.state(last_ms + 3000) is StreamState.DEAD
    assert SILENT_S + 1 + 1 < 5  # and a round of the page, and one of the browser


def test_a_dead_stream_stays_dead_and_lives_with_its_next_frame() -> None:
    track = StreamActivity()
    last_ms = play(track, 5, 20)
    for second in range(1, 60):
        track.take(pulse(100, last_ms), last_ms + 1000 * second)
    assert track.state(last_ms + 59_000) is StreamState.DEAD
    assert track.frames_per_s == 0
    track.take(pulse(101, last_ms + 60_000), last_ms + 60_000)
    assert track.state(last_ms + 60_000) is StreamState.LIVE


def test_a_slow_camera_is_given_its_own_pace() -> None:
    track = StreamActivity()
    last_ms = play(track, 0.25, 40)
    assert track.state(last_ms + 4500) is StreamState.LIVE
    assert track.state(last_ms + 11_000) is StreamState.DEAD


def test_the_pause_of_a_stream_that_was_dead_is_not_its_pace() -> None:
    track = StreamActivity()
    play(track, 5, 20)
    later_ms = BEGIN_MS + 3_600_000
    last_ms = play(track, 5, 20, later_ms, arrived=100)
    assert track.allowed_silence_s < SILENT_S + 3
    assert track.state(last_ms + 6000) is StreamState.DEAD


def test_frames_that_come_and_do_not_end_are_a_stalled_stream() -> None:
    track = StreamActivity()
    play(track, 5, 10)
    for second in range(11, 17):
        now_ms = BEGIN_MS + 1000 * second
        track.take(pulse(5 * second, now_ms, waiting=5 * (second - 10), masks=50), now_ms)
    assert track.state(now_ms) is StreamState.STALLED
    track.take(pulse(85, now_ms + 1000), now_ms + 1000)
    assert track.state(now_ms + 1000) is StreamState.LIVE


def test_skipped_frames_have_a_rate() -> None:
    track = StreamActivity()
    for second in range(6):
        track.take(Pulse(0, BEGIN_MS, 10 * second, 2 * second, 10 * second, 8 * second, 0, 0), BEGIN_MS + 1000 * second)
    assert (track.frames_per_s, track.masks_per_s, track.skipped_per_s) == (10, 2, 8)


def test_a_stream_whose_frames_all_end_without_a_mask_gets_no_masks_and_lives_with_the_next() -> None:
    track = StreamActivity()
    play(track, 5, 20)
    begin_ms = BEGIN_MS + 20_000
    for second in range(1, 31):
        now_ms = begin_ms + 1000 * second
        track.take(Pulse(0, int(now_ms), 100 + 5 * second, 100, 100 + 5 * second, 5 * second, 0, 0), now_ms)
        assert track.state(now_ms) is (StreamState.LIVE if second <= 10 else StreamState.NO_MASKS)
        assert track.mask_age_s(now_ms) == second
    track.take(Pulse(0, int(now_ms) + 1000, 255, 101, 255, 154, 0, 0), now_ms + 1000)
    assert track.state(now_ms + 1000) is StreamState.LIVE
    assert track.mask_age_s(now_ms + 1000) == 0


def test_a_stream_that_is_silent_since_its_last_mask_is_not_one_without_masks() -> None:
    track = StreamActivity()
    last_ms = play(track, 5, 20)
    track.take(pulse(100, last_ms), last_ms + 60_000)
    assert track.state(last_ms + 60_000) is StreamState.DEAD
