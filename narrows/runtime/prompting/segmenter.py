"""Asks a promptable network for one thing's mask: windows, passes, and the way back to the source picture.

::

    box ────► one window, one pass
    points ─► windows, until one fits the mask ─► its box and the points, one pass more
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import WeightsMismatch
from narrows.runtime.onnx_runtime import REFUSALS, InferenceSession, SessionOptions
from narrows.runtime.prompting.framing import window_of_box, windows_of
from narrows.runtime.prompting.inputs import CHANNELS, encode_input
from narrows.runtime.prompting.prompt import Box, Prompt
from narrows.runtime.prompting.window import Window, box_of
from narrows.runtime.prompting.zoom import Look, find_window

INPUTS, LOGITS = "inputs", "logits"
UNSEEN_FOLD = "narrows.unseen_fold"
"""A graph's metadata: the fold of every data set that its network never saw."""
BEYOND = -30.0
"""The logit outside the window: nothing was looked at there."""


Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Inputs ``(6, size, size)`` uint8 to logits ``(size, size)`` float32."""


@dataclass(frozen=True)
class PromptedMask:
    """What was outlined.

    Attributes:
        mask: ``(H, W)`` bool, of the source picture.
        window: where the network looked last.
        logits: ``(size, size)`` float32, what it said there.
        passes: how often the network ran.
    """

    mask: NDArray[np.bool_]
    window: Window
    logits: NDArray[np.float32]
    passes: int


@dataclass(frozen=True)
class PromptSegmenter:
    """A network of crops and prompts, the side of its crop in pixels, and the fold that it was not trained on."""

    run: Run
    size: int
    unseen_fold: int | None = None

    @classmethod
    def open(cls, path: Path) -> PromptSegmenter:
        """A graph of ``narrows promptable export``, float or int8, on one thread.

        Raises:
            WeightsMismatch: the graph takes or gives something else.
        """
        session = open_session(path)
        ends = {each.name: (each.type, each.shape) for each in (*session.get_inputs(), *session.get_outputs())}
        fold = session.get_modelmeta().custom_metadata_map.get(UNSEEN_FOLD)
        size = _size_of(ends)
        if size is None or not (fold is None or (fold.isascii() and fold.isdigit() and len(fold) < 3)):
            said = "" if fold is None else f", unseen fold {fold[:20]!r}"
            raise WeightsMismatch(f"{path} has {ends}{said}: it is no graph of `narrows promptable export`")

        def run(inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
            logits: NDArray[np.float32] = session.run([LOGITS], {INPUTS: inputs[None]})[0][0, 0]
            return logits

        return cls(run, size, None if fold is None else int(fold))

    def segment(self, picture: NDArray[np.uint8], prompt: Prompt) -> PromptedMask:
        """The thing that ``prompt`` points at in ``picture`` ``(H, W, 3)`` uint8 RGB.

        Raises:
            PromptInvalid: the prompt points at nothing.
        """
        height, width = picture.shape[:2]
        look = self.look(picture, prompt)
        mask = look.window.spread(look.logits, width, height, BEYOND) > 0
        return PromptedMask(mask, look.window, look.logits, look.passes)

    def look(self, picture: NDArray[np.uint8], prompt: Prompt, *, whole_pixels: bool = False) -> Look:
        """As :meth:`segment`; the mask stays in its window. ``whole_pixels``: whose place and side have no fraction.

        Raises:
            PromptInvalid: the prompt points at nothing.
        """
        height, width = picture.shape[:2]
        prompt = prompt.within(width, height)
        windows = windows_of(prompt, width, height)
        if whole_pixels:
            windows = tuple(window.rounded() for window in windows)
        found = find_window(windows, lambda window: self._run(picture, prompt, window))
        window, logits, passes = found.window, found.logits, found.passes
        again = None if prompt.box is not None else _box_in_source(logits, window)
        if again is not None:
            window, passes = window_of_box(again), passes + 1
            window = window.rounded() if whole_pixels else window
            logits = self._run(picture, Prompt(again, prompt.points), window)
        return Look(window, logits, passes)

    def _run(self, picture: NDArray[np.uint8], prompt: Prompt, window: Window) -> NDArray[np.float32]:
        return self.run(encode_input(picture, prompt, window, self.size))


def open_session(path: Path) -> InferenceSession:
    """A graph on one thread of the CPU.

    Raises:
        WeightsMismatch: the file is none.
    """
    options = SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except REFUSALS as error:
        raise WeightsMismatch(f"{path} cannot be opened as a graph: {error}") from None


def _size_of(ends: Mapping[str, tuple[str, list[Any]]]) -> int | None:
    """The side of the crop of a graph with these inputs and outputs; ``None`` where it has others."""
    _, shape = ends.get(INPUTS, ("", []))
    size = shape[-1] if shape else None
    wanted = {INPUTS: ("tensor(uint8)", [1, CHANNELS, size, size]), LOGITS: ("tensor(float)", [1, 1, size, size])}
    return size if isinstance(size, int) and ends == wanted else None


def _box_in_source(logits: NDArray[np.float32], window: Window) -> Box | None:
    box, share = box_of(logits > 0), window.side / logits.shape[0]
    if box is None:
        return None
    return Box(window.x + box.x * share, window.y + box.y * share, box.width * share, box.height * share)
