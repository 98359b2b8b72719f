"""An encoder and a decoder of the SAM family, as ONNX files that a user has: for comparison, and as a teacher to ask.

::

    picture ─► longer side to 1024, padded (SAM, MobileSAM, EdgeSAM) or both sides (SAM 2) ─► encoder ─► embeddings
    prompt  ─► coordinates in those pixels, labels 1 on, 0 beside, 2 and 3 a box's corners ─┴─► decoder ─► masks, scores

Which of the two it is, the decoder's inputs say: SAM 2's takes ``high_res_feats_0`` too. What the encoder answers goes
to the inputs of the same names, and a lone answer to the input that begins with ``image_embed``. No such weights come
with this project.

Sources: Kirillov et al., "Segment Anything", ICCV 2023, its ``export_onnx_model.py``; Ravi et al., "SAM 2", 2024, as
``samexporter`` exports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from narrows.contract.errors import WeightsMismatch
from narrows.runtime.onnx_runtime import InferenceSession
from narrows.runtime.prompting import Prompt, Window
from narrows.runtime.prompting.framing import window_of_box
from narrows.runtime.prompting.segmenter import BEYOND, PromptedMask, open_session
from narrows.runtime.prompting.window import box_of

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""ImageNet's, of 0 to 255."""
BESIDE, ON, TOP_LEFT, BOTTOM_RIGHT, PADDING = 0, 1, 2, 3, -1
"""Labels of points."""
MASK_SIDE = 256
CROP = 96
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class SamFrame:
    """How a picture lies in the encoder's square: by how much either side is scaled."""

    width: int
    height: int
    side: int
    stretched: bool

    @property
    def scales(self) -> tuple[float, float]:
        """Of x and of y."""
        if self.stretched:
            return self.side / self.width, self.side / self.height
        scale = self.side / max(self.width, self.height)
        return scale, scale

    @property
    def held(self) -> tuple[int, int]:
        """Width and height of the picture in the square, pixels."""
        x, y = self.scales
        return int(self.width * x + 0.5), int(self.height * y + 0.5)


def encode_prompt(prompt: Prompt, frame: SamFrame) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coordinates ``(1, n, 2)`` and labels ``(1, n)``; points without a box have a padding point behind them."""
    places = [(point.x, point.y, ON if point.positive else BESIDE) for point in prompt.points]
    if prompt.box is None:
        places.append((0.0, 0.0, PADDING))
    else:
        box = prompt.box
        places += [(box.x, box.y, TOP_LEFT), (box.right, box.bottom, BOTTOM_RIGHT)]
    table = np.array(places, np.float32)
    coordinates = table[:, :2] * np.array(frame.scales, np.float32)
    return coordinates[None], table[None, :, 2]


@dataclass
class SamPair:
    """An encoder and its decoder; the last picture's embeddings are kept: its other prompts cost the decoder alone."""

    encoder: InferenceSession
    decoder: InferenceSession
    side: int
    _last: tuple[NDArray[np.uint8], Arrays] | None = field(default=None, repr=False)

    @classmethod
    def open(cls, encoder: Path, decoder: Path) -> SamPair:
        """Two files, on one thread.

        Raises:
            WeightsMismatch: a file is no graph, or they are no encoder and decoder of this family.
        """
        first, second = open_session(encoder), open_session(decoder)
        wanted = {each.name for each in second.get_inputs()}
        if not {"point_coords", "point_labels"} <= wanted:
            raise WeightsMismatch(f"{decoder} takes {', '.join(sorted(wanted))}: SAM's takes point_coords too")
        shape: list[Any] = next((each.shape for each in first.get_inputs()), [])
        side = shape[2] if len(shape) == 4 and shape[1] == 3 else None
        if not isinstance(side, int) or shape[3] != side:
            raise WeightsMismatch(f"{encoder} takes {shape}: an encoder of SAM takes (1, 3, side, side)")
        return cls(first, second, side)

    @property
    def stretches(self) -> bool:
        """Whether pictures lose their aspect ratio: SAM 2's do."""
        return any(each.name.startswith("high_res_feats") for each in self.decoder.get_inputs())

    def segment(self, picture: NDArray[np.uint8], prompt: Prompt) -> PromptedMask:
        """The thing that ``prompt`` points at in ``picture`` ``(H, W, 3)`` uint8 RGB: the mask of the best score.

        Raises:
            PromptInvalid: the prompt points at nothing.
        """
        height, width = picture.shape[:2]
        prompt = prompt.within(width, height)
        frame = SamFrame(width, height, self.side, self.stretches)
        logits = self._decode(self._embeddings(picture, frame), prompt, frame)
        box = prompt.box or box_of(logits > 0)
        window = Window(0, 0, max(width, height)) if box is None else window_of_box(box)
        return PromptedMask(logits > 0, window, _sampled(logits, window), 1)

    def _embeddings(self, picture: NDArray[np.uint8], frame: SamFrame) -> Arrays:
        if self._last is None or self._last[0] is not picture:
            names = [each.name for each in self.encoder.get_outputs()]
            given = {self.encoder.get_inputs()[0].name: prepare_picture(picture, frame)}
            self._last = picture, dict(zip(names, self.encoder.run(None, given), strict=True))
        return self._last[1]

    def _decode(self, embeddings: Arrays, prompt: Prompt, frame: SamFrame) -> NDArray[np.float32]:
        coordinates, labels = encode_prompt(prompt, frame)
        known: Arrays = {
            "point_coords": coordinates,
            "point_labels": labels,
            "mask_input": np.zeros((1, 1, MASK_SIDE, MASK_SIDE), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
            "orig_im_size": np.array([frame.height, frame.width], np.float32),
            **embeddings,
        }
        names = [each.name for each in self.decoder.get_inputs()]
        feed = {name: _given(name, known, embeddings) for name in names}
        answers = dict(
            zip((each.name for each in self.decoder.get_outputs()), self.decoder.run(None, feed), strict=True)
        )
        masks: NDArray[np.float32] = answers.get("masks", next(iter(answers.values())))
        best = int(np.argmax(answers["iou_predictions"][0])) if "iou_predictions" in answers else 0
        return _at_source(masks[0, best], frame)


def prepare_picture(picture: NDArray[np.uint8], frame: SamFrame) -> NDArray[np.float32]:
    """``(1, 3, side, side)`` float32: scaled, normalised, and padded with 0 at the right and below."""
    scaled = np.asarray(Image.fromarray(picture).resize(frame.held, Image.Resampling.BILINEAR), np.float32)
    normalised = (scaled - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    square = np.zeros((1, 3, frame.side, frame.side), np.float32)
    square[0, :, : frame.held[1], : frame.held[0]] = normalised.transpose(2, 0, 1)
    return square


def _given(name: str, known: Mapping[str, NDArray[Any]], embeddings: Arrays) -> NDArray[Any]:
    if name in known:
        return known[name]
    if name.startswith("image_embed") and len(embeddings) == 1:
        return next(iter(embeddings.values()))
    raise WeightsMismatch(f"the decoder wants {name!r}; the encoder answers with {', '.join(embeddings)}")


def _at_source(mask: NDArray[np.float32], frame: SamFrame) -> NDArray[np.float32]:
    """Logits ``(H, W)`` of the source from those of a decoder, which may have scaled them already."""
    if mask.shape == (frame.height, frame.width):
        return mask
    share = mask.shape[0] / frame.side
    held = (0.0, 0.0, frame.held[0] * share, frame.held[1] * share)
    scaled = Image.fromarray(mask.astype(np.float32)).resize(
        (frame.width, frame.height), Image.Resampling.BILINEAR, box=held
    )
    return np.asarray(scaled)


def _sampled(logits: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    """The logits at the centres of a crop's pixels."""
    steps = (np.arange(CROP) + 0.5) * window.side / CROP
    rows, columns = np.floor(window.y + steps).astype(int), np.floor(window.x + steps).astype(int)
    height, width = logits.shape
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    found = logits[rows.clip(0, height - 1)][:, columns.clip(0, width - 1)]
    return np.where(inside, found, np.float32(BEYOND))
