"""Accuracy of every exported network over the validation split: one confusion matrix a split and operating point.

A score is kept beside the digests of the graph and the frames that it is of, so that it is computed once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rate.codecs import Coded, PictureCodec, Setting, bits_of
from benchmarks.rate.frames import Sent, session
from benchmarks.rate.labelmaps import edge_coders, larger
from benchmarks.rate.made_of import digest, digest_of
from benchmarks.rate.plan import RunFolder, tuned_name
from benchmarks.rate.progress import say
from benchmarks.rate.video import VideoCodec
from narrows.contract.outputs.labels.scaling import DIVISORS, divide_labels
from narrows.models.dataset import ClassList, LabelledPicture
from narrows.models.evaluation import ConfusionMatrix
from narrows.models.training.rounds import rounds
from narrows.runtime.writing import write_file

WHOLE = "mask_at_edge"
"""Encoder and joint decoder in one graph, nothing quantised: at the camera, or on pictures in the cloud."""
Labels = NDArray[np.uint8]
Scores = list[dict[str, Any]]


@dataclass(frozen=True)
class Judge:
    """The frames and what their labels mean."""

    folder: RunFolder
    frames: Sequence[LabelledPicture]
    classes: ClassList

    @property
    def pixels(self) -> int:
        """Of one frame."""
        return int(self.frames[0].labels.size)

    @cached_property
    def _seen(self) -> str:
        return digest_of(self.frames)

    def miou(self, masks: Iterable[Labels]) -> float:
        """Of one mask a frame, in order."""
        matrix = ConfusionMatrix(len(self.classes.names), self.classes.ignore_index)
        for frame, mask in zip(self.frames, masks, strict=True):
            matrix.update(frame.labels, mask)
        return matrix.miou

    def kept(self, graph: str, extra: str, compute: Callable[[], Scores], *, name: str | None = None) -> Scores:
        """Scores of ``graph``, computed only if it, frames or ``extra`` have changed; several of one by own names."""
        made_of = digest(self.folder.graph(graph)) + extra + f"-{self._seen}"
        path = self.folder.scores(name or graph)
        if path.is_file():
            stored = json.loads(path.read_text())
            if stored["made_of"] == made_of:
                found: Scores = stored["scores"]
                return found
        scores = compute()
        write_file(path, json.dumps({"made_of": made_of, "scores": scores}) + "\n")
        return scores

    def latent_method(self, name: str, sent: Sent) -> Scores:
        """A decoder of the latent at every level."""

        def compute() -> Scores:
            run = session(self.folder.graph(name)).run
            levels = rounds(f"scoring {name}", range(len(sent.symbols)), say)
            return [
                {
                    "level": level,
                    "bits_per_pixel": 8 * float(sent.packet_bytes[level].mean()) / self.pixels,
                    "miou": self.miou(
                        run(None, {"symbols": plane[None], "level": np.array([[level]], np.int32)})[0][0]
                        for plane in sent.symbols[level]
                    ),
                }
                for level in levels
            ]

        return self.kept(name, str(int(sent.packet_bytes.sum())), compute)

    def uncompressed(self) -> float:
        """The whole network on the frames as they are."""
        run = session(self.folder.graph(WHOLE)).run

        def compute() -> Scores:
            masks = (run(None, {"picture": frame.picture[None]})[0][0] for frame in self.frames)
            return [{"miou": self.miou(masks)}]

        return float(self.kept(WHOLE, "uncompressed", compute, name="uncompressed")[0]["miou"])

    def pictures(self, codec: PictureCodec | VideoCodec) -> Scores:
        """The whole network on a codec's pictures at each of its settings: untuned, and tuned to each quality."""
        untuned = self._pictures(codec, WHOLE, codec.settings, name=f"{codec.name}-untuned")
        found = [{**point, "tuned": False} for point in untuned]
        for quality in codec.qualities:
            some = [setting for setting in codec.settings if setting.quality == quality]
            tuned = tuned_name(codec.name, quality)
            found += [{**point, "tuned": True} for point in self._pictures(codec, tuned, some, name=tuned)]
        return found

    def _pictures(
        self, codec: PictureCodec | VideoCodec, graph: str, settings: Sequence[Setting], *, name: str
    ) -> Scores:
        run = session(self.folder.graph(graph)).run

        def score(setting: Setting) -> dict[str, Any]:
            sizes: list[int] = []

            def masks() -> Iterable[Labels]:
                for each in self._coded(codec, setting):
                    sizes.append(bits_of(each.size_bytes))
                    yield run(None, {"picture": np.ascontiguousarray(each.picture)[None]})[0][0]

            miou = self.miou(masks())
            rate = float(np.mean(sizes)) / self.pixels
            return {"scale": setting.scale, "quality": setting.quality, "bits_per_pixel": rate, "miou": miou}

        def compute() -> Scores:
            return [score(each) for each in rounds(f"scoring {name}", settings, say)]

        return self.kept(graph, repr(settings), compute, name=name)

    def _coded(self, codec: PictureCodec | VideoCodec, setting: Setting) -> Iterable[Coded]:
        """The frames; of a video codec they are one clip."""
        if isinstance(codec, VideoCodec):
            return codec.code([frame.picture for frame in self.frames], setting)
        return (codec.code(frame.picture, setting) for frame in self.frames)

    def masks_at_edge(self) -> Scores:
        """The whole network at the camera, its mask at four sizes through the coder that is smallest on the split."""
        run = session(self.folder.graph(WHOLE)).run

        def compute() -> Scores:
            masks = [run(None, {"picture": frame.picture[None]})[0][0] for frame in self.frames]
            return [self._mask_size(masks, factor) for factor in rounds("scoring masks at the edge", DIVISORS, say)]

        return self.kept(WHOLE, repr((DIVISORS, *edge_coders(len(self.classes.names)))), compute)

    def _mask_size(self, masks: Sequence[Labels], factor: int) -> dict[str, Any]:
        classes = len(self.classes.names)
        small = [divide_labels(mask, factor, classes) for mask in masks]
        coders = edge_coders(classes)
        bits = {name: float(np.mean([bits_of(coder(m)) for m in small])) for name, coder in coders.items()}
        coder = min(bits, key=bits.__getitem__)
        return {
            "factor": factor,
            "coder": coder,
            "bits_per_pixel": bits[coder] / self.pixels,
            "by_coder": {name: value / self.pixels for name, value in bits.items()},
            "miou": self.miou(larger(mask, factor, masks[0].shape) for mask in small),
        }
