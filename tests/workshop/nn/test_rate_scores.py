"""The rate table's points, costs and times are of the networks, the bits and the frames that they are said to be of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.rate import assemble, score
from benchmarks.rate.assemble import Method, methods_of, rows_of
from benchmarks.rate.codecs import Coded, PictureCodec, Setting
from benchmarks.rate.frames import Sent
from benchmarks.rate.plan import FROZEN, Plan, RunFolder
from benchmarks.rate.score import WHOLE, Judge, Scores
from narrows.contract.wire.feature import HEADER_BYTES
from narrows.models.dataset import ClassList, LabelledPicture
from narrows.models.export.cost import Cost

CLASSES = ClassList(("road", "sky"), 255, (4, 4), ((0, 0, 0),) * 2)
LABELS = np.array([[0, 0, 1, 1]] * 4, np.uint8)
FRAMES = [LabelledPicture(f"b{number}", np.full((4, 4, 3), number, np.uint8), LABELS) for number in range(2)]
PLAN = Plan(seeds=(1, 2))
Answer = Callable[[str, dict[str, NDArray[Any]]], bool]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    folder = RunFolder(tmp_path)
    folder.make()
    for name in (WHOLE, "joint-1", "c-q5", "c-q20"):
        folder.graph(name).write_bytes(name.encode())
    return Judge(folder, FRAMES, CLASSES)


def right_where(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs give the labels where ``answer`` says so of their name and what they are fed, else the contrary."""

    def session(path: Path) -> SimpleNamespace:
        def run(_outputs: None, feed: dict[str, NDArray[Any]]) -> list[NDArray[np.uint8]]:
            return [LABELS[None] if answer(path.stem, feed) else 1 - LABELS[None]]

        return SimpleNamespace(run=run)

    monkeypatch.setattr(score, "session", session)


def sent(levels: int) -> Sent:
    """Symbols that are their level."""
    symbols = np.stack([np.full((2, 1, 1, 1), level, np.int8) for level in range(levels)])
    return Sent(symbols, np.array([[100, 102]] * levels), np.array([[60, 64]] * levels))


def test_each_level_is_scored_as_that_level(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    right_where(lambda _name, feed: int(feed["symbols"].max()) == int(feed["level"][0, 0]), monkeypatch)
    points = judge.latent_method("joint-1", sent(3))
    assert [point["miou"] for point in points] == [1, 1, 1]
    assert [point["bits_per_pixel"] for point in points] == [pytest.approx(8 * 101 / 16)] * 3


@dataclass(frozen=True)
class _Codec(PictureCodec):
    """Makes pictures of its quality, in 10 bytes."""

    def code(self, picture: NDArray[np.uint8], setting: Setting) -> Coded:
        return Coded(10, np.full_like(picture, setting.quality))


def test_a_codec_is_charged_our_header_and_judged_untuned_and_by_the_network_of_its_quality(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = _Codec("c", "c", (5, 20), lambda *_: (b"", 0))
    right_where(lambda name, feed: name == f"c-q{feed['picture'].max()}", monkeypatch)
    points = judge.pictures(codec)
    assert {point["bits_per_pixel"] for point in points} == {8 * (HEADER_BYTES + 10) / 16}
    assert {(point["quality"], point["tuned"], point["miou"]) for point in points} == {
        (5, True, 1.0),
        (20, True, 1.0),
        (5, False, 0.0),
        (20, False, 0.0),
    }
    assert len(points) == 2 * len(codec.settings)
    right_where(lambda name, _feed: name == WHOLE, monkeypatch)
    for path in judge.folder.scores("c").parent.iterdir():
        path.unlink()
    assert {(point["tuned"], point["miou"]) for point in judge.pictures(codec)} == {(True, 0.0), (False, 1.0)}


class _Judge:
    """Tells which packets a network was scored on."""

    folder, frames, pixels = RunFolder(Path()), FRAMES, 16

    def __init__(self) -> None:
        self.scored: dict[str, Sent] = {}

    def latent_method(self, name: str, given: Sent) -> Scores:
        self.scored[name] = given
        return [{"level": 0, "bits_per_pixel": 8 * float(given.packet_bytes[0].mean()) / 16, "miou": 0.5}]

    def pictures(self, _codec: object) -> Scores:
        return []

    def masks_at_edge(self) -> Scores:
        return []


@pytest.fixture
def methods(monkeypatch: pytest.MonkeyPatch) -> dict[str, Method]:
    of_pairs: dict[str, Sent] = {}

    def send(_folder: RunFolder, encoder: str, decoder: str, _frames: Sequence[LabelledPicture]) -> Sent:
        assert encoder == f"{decoder}_encoder"
        return of_pairs.setdefault(decoder, sent(1))

    monkeypatch.setattr(assemble, "send", send)
    judge, frozen = _Judge(), sent(1)
    found = methods_of(cast("Judge", judge), frozen, PLAN)
    for name, given in judge.scored.items():
        assert given is of_pairs.get(name, frozen), "each decoder reads what its own encoder sent"
    assert len(of_pairs) == 2
    return found


def test_a_method_is_charged_the_networks_that_it_needs(methods: dict[str, Method]) -> None:
    sides = {name: (method.graph, method.edge) for name, method in methods.items()}
    assert {sides[name] for name in ("jpeg", "webp", "avif", "h264", "hevc")} == {(WHOLE, None)}
    assert sides["mask_at_edge"] == (None, WHOLE)
    assert sides["end_to_end"] == sides["end_to_end_p"] == ("end_to_end", FROZEN)
    assert sides["joint"] == ("joint-1", FROZEN)
    for name in ("joint_together", "separate_together"):
        assert sides[name] == (name, f"{name}_encoder")


def test_as_a_clip_the_end_to_end_method_costs_its_p_packets(methods: dict[str, Method]) -> None:
    alone, as_clip = (methods[name].points[0]["bits_per_pixel"] for name in ("end_to_end", "end_to_end_p"))
    assert (alone, as_clip) == (8 * 101 / 16, 8 * 62 / 16)


def test_coding_is_timed_where_it_happens(methods: dict[str, Method], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "count_cost", lambda _path: Cost(1, 1))
    graphs = {side: 1.0 for method in methods.values() for side in (method.graph, method.edge) if side}
    times = {"latent_encode": 2.0, "latent_decode": 3.0, "mask_encode": 5.0, "h264_both": 7.0, "hevc_both": 7.0}
    for name in ("jpeg", "webp", "avif"):
        times |= {f"{name}_encode": 11.0, f"{name}_both": 24.0}
    rows = rows_of(methods, RunFolder(Path()), graphs | times)
    coding = {name: (row["edge"]["codec_cpu_ms"], row["cloud"]["codec_cpu_ms"]) for name, row in rows.items()}
    assert coding["joint"] == coding["end_to_end_p"] == (2, 3)
    assert coding["jpeg"] == (11, 13)
    assert coding["h264"] == (7, None), "coding and decoding are not told apart"
    assert coding["mask_at_edge"] == (5, None)
