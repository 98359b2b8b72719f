"""Which automatic cameras are asked to make their own masks, so that fewer frames want a decoder.

::

    load if all sent features ─► load of those that do ─┬─ above FULL for a while ─► ask the busiest, until ENOUGH
                                                        └─ room for one again, long enough ─► ask one less

It comes before :mod:`orchestrator.dispatch.throttle`, which lowers frame rates at a higher load: a mask made elsewhere
is still a mask. Where a bundle answers with more than a label map, which is all that a camera makes, its cameras are
never asked for masks, and those that make some are asked for features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from narrows.contract.wire import Sends

FULL_LOAD, ENOUGH_LOAD = 0.85, 0.7
_PRESSED_FOR_S = 1.0
_AGAIN_AFTER_S = 4.0
"""A camera follows within a second, and rates are means over two: before that the next look would ask for too much."""
_LESS_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One stream: its frames a second, whether it may be asked, and what its bundle answers with."""

    frames_per_s: float
    able: bool
    makes_masks: bool
    outputs: int = 1


class MaskRequests:
    """One dispatcher's streams. Pure but for its memory; times are monotonic seconds."""

    def __init__(self) -> None:
        self.asked: frozenset[str] = frozenset()
        self._pressed_since_s: float | None = None
        self._room_since_s: float | None = None
        self._asked_s = float("-inf")

    def decide(self, streams: Mapping[str, Candidate], load_ratio: float, now_s: float) -> dict[str, Sends]:
        """What each stream is asked to send, where it is asked. Ask about once a second.

        Args:
            streams: those that sent lately.
            load_ratio: of all frames that want a decoder, those of cameras that were asked to do without included.
            now_s: the time.
        """
        self.asked &= {name for name, each in streams.items() if each.able and each.outputs == 1}
        total = sum(each.frames_per_s for name, each in streams.items() if _counts(name, each, self.asked))
        load_of_one = load_ratio / total if total > 0 else 0.0
        spared = sum(streams[name].frames_per_s for name in self.asked if self._spares(streams[name], now_s))
        load = load_ratio - spared * load_of_one
        if self._pressed(load, now_s):
            self._ask_more(streams, load, load_of_one, now_s)
        elif self._has_room(streams, load, load_of_one, now_s):
            self.asked -= {self._least(streams)}
        wanted = {name: Sends.FEATURES for name, each in streams.items() if _answers_more(each)}
        return wanted | dict.fromkeys(self.asked, Sends.MASKS)

    def _ask_more(self, streams: Mapping[str, Candidate], load: float, load_of_one: float, now_s: float) -> None:
        asked = set(self.asked)
        free = [name for name, each in streams.items() if _may_be_asked(each) and name not in asked]
        for name in sorted(free, key=lambda each: (-streams[each].frames_per_s, each)):
            if load <= ENOUGH_LOAD:
                break
            asked.add(name)
            load -= streams[name].frames_per_s * load_of_one
        self.asked, self._asked_s = frozenset(asked), now_s

    def _spares(self, each: Candidate, now_s: float) -> bool:
        """Whether one that was asked sends masks, or may still follow: one that never does is load like any other."""
        return each.makes_masks or now_s - self._asked_s < _AGAIN_AFTER_S

    def _pressed(self, load: float, now_s: float) -> bool:
        if load <= FULL_LOAD:
            self._pressed_since_s = None
            return False
        if self._pressed_since_s is None:
            self._pressed_since_s = now_s
        return now_s - self._pressed_since_s >= _PRESSED_FOR_S and now_s - self._asked_s >= _AGAIN_AFTER_S

    def _has_room(self, streams: Mapping[str, Candidate], load: float, load_of_one: float, now_s: float) -> bool:
        """Whether the least of those asked could have been decoded for so long."""
        if not self.asked or load + streams[self._least(streams)].frames_per_s * load_of_one > ENOUGH_LOAD:
            self._room_since_s = None
            return False
        if self._room_since_s is None:
            self._room_since_s = now_s
        if now_s - self._room_since_s < _LESS_AFTER_S:
            return False
        self._room_since_s = now_s
        return True

    def _least(self, streams: Mapping[str, Candidate]) -> str:
        return min(self.asked, key=lambda name: (streams[name].frames_per_s, name))


def _may_be_asked(each: Candidate) -> bool:
    return each.able and not each.makes_masks and each.outputs == 1


def _answers_more(each: Candidate) -> bool:
    return each.able and each.makes_masks and each.outputs > 1


def _counts(name: str, each: Candidate, asked: frozenset[str]) -> bool:
    """Whether its frames are in the load: features are, and masks that were asked for."""
    return name in asked or not each.makes_masks
