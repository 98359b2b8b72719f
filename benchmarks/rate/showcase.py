"""A few frames and what each method made of them at about the same rates, kept as PNGs for ``narrows compare``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.rate.codecs import STILLS, PictureCodec, Setting
from benchmarks.rate.contenders import CONTENDERS
from benchmarks.rate.frames import Sent, session
from benchmarks.rate.labelmaps import larger
from benchmarks.rate.plan import Plan, tuned_name
from benchmarks.rate.score import WHOLE, Judge, Labels
from narrows.client.painting.overlay import to_palette_png
from narrows.contract.outputs.labels.scaling import divide_labels
from narrows.runtime.writing import write_file

FRAMES = 4
RATES = (0.02, 0.06)


def keep(judge: Judge, sent: Sent, plan: Plan, methods: Mapping[str, Mapping[str, Any]]) -> None:
    """Write ``masks/``: pictures, label maps, masks, and ``index.json`` that says what is what."""
    step = max(1, len(judge.frames) // FRAMES)
    numbers = list(range(step // 2, len(judge.frames), step))[:FRAMES]
    entries = [_Frame(judge, sent, plan, methods, number).entry() for number in numbers]
    write_file(judge.folder.root / "masks" / "index.json", json.dumps(entries, indent=1) + "\n")


class _Frame:
    def __init__(
        self, judge: Judge, sent: Sent, plan: Plan, methods: Mapping[str, Mapping[str, Any]], number: int
    ) -> None:
        self._judge, self._sent, self._plan, self._methods, self._number = judge, sent, plan, methods, number
        self._frame = judge.frames[number]

    def entry(self) -> dict[str, Any]:
        masks = [each for rate in RATES for each in self._at(rate)]
        return {
            "name": self._frame.name,
            "picture": self._save_picture("picture", self._frame.picture),
            "labels": self._save("labels", self._frame.labels),
            "masks": masks,
        }

    def _at(self, rate: float) -> list[dict[str, Any]]:
        found = []
        for name, graph in {
            **{c.name: f"{c.name}-{self._plan.seeds[0]}" for c in CONTENDERS},
            "end_to_end": "end_to_end",
        }.items():
            point = _nearest(self._methods[name]["points"], rate)
            found.append(self._note(name, rate, point, self._latent(graph, point["level"])))
        for codec in STILLS:
            point = _nearest(self._methods[codec.name]["points"], rate)
            found.append(self._note(codec.name, rate, point, self._still(codec, point)))
        point = _nearest(self._methods["mask_at_edge"]["points"], rate)
        found.append(self._note("mask_at_edge", rate, point, self._edge(point["factor"])))
        return found

    def _note(self, name: str, rate: float, point: Mapping[str, Any], mask: Labels) -> dict[str, Any]:
        return {
            "method": name,
            "label": self._methods[name]["label"],
            "near_bits_per_pixel": rate,
            "bits_per_pixel": point["bits_per_pixel"],
            "miou": point["miou"],
            "file": self._save(f"{name}-{rate:g}", mask),
        }

    def _latent(self, graph: str, level: int) -> Labels:
        feed = {"symbols": self._sent.symbols[level][self._number][None], "level": np.array([[level]], np.int32)}
        mask: Labels = session(self._judge.folder.graph(graph)).run(None, feed)[0][0]
        return mask

    def _still(self, codec: PictureCodec, point: Mapping[str, Any]) -> Labels:
        coded = codec.code(self._frame.picture, Setting(point["scale"], point["quality"]))
        feed = {"picture": np.ascontiguousarray(coded.picture)[None]}
        graph = tuned_name(codec.name, point["quality"]) if point["tuned"] else WHOLE
        mask: Labels = session(self._judge.folder.graph(graph)).run(None, feed)[0][0]
        return mask

    def _edge(self, factor: int) -> Labels:
        run = session(self._judge.folder.graph(WHOLE)).run
        mask: Labels = run(None, {"picture": self._frame.picture[None]})[0][0]
        small = divide_labels(mask, factor, len(self._judge.classes.names))
        return larger(small, factor, (mask.shape[0], mask.shape[1]))

    def _save(self, name: str, labels: Labels) -> str:
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(self._judge.classes.palette)] = self._judge.classes.palette
        file = f"{self._frame.name}-{name}.png"
        write_file(self._judge.folder.root / "masks" / file, to_palette_png(labels, palette))
        return file

    def _save_picture(self, name: str, picture: Labels) -> str:
        file = f"{self._frame.name}-{name}.jpg"
        Image.fromarray(picture).save(self._judge.folder.root / "masks" / file, quality=88)
        return file


def _nearest(points: Sequence[Mapping[str, Any]], rate: float) -> Mapping[str, Any]:
    """Of several at one rate the best."""
    return min(points, key=lambda point: (abs(np.log(point["bits_per_pixel"] / rate)), -point["miou"]))
