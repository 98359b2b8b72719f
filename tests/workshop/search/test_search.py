"""A search in its run folder: within the limits, resumable, its front as files."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from narrows.contract.errors import ConfigError
from narrows.models.nn.cloud_decoder import CloudShape
from narrows.models.nn.weak import WeakShape
from narrows.models.nn.weak_designs import Design
from narrows.models.search import training
from narrows.models.search.blocks import Block, blocks_of
from narrows.models.search.config import SearchConfig
from narrows.models.search.cost import CameraLimits, latency_ms, static_cost
from narrows.models.search.proxies import PROXIES, Subject
from narrows.models.search.search import FRONT, Search
from narrows.models.search.space import Candidate, Space
from narrows.models.search.training import AtResolution, built
from narrows.models.split.device import Coded, Effort, Measured
from narrows.models.training.mask_setup import MaskSetup, mask_task
from narrows.ops.advise import read_frontier
from tests.workshop.export.small_data import SIZE, made_up

NO_FRAMES = np.zeros((0, 2, 2), dtype=np.int64)
SPACE = Space(
    width4=(8, 12), width8=(8, 16), width16=(8, 16), depth4=(0, 1), depth8=(0,), depth16=(0, 1), kernel4=(3,),
    kernel8=(3,), kernel16=(3, 5), expansion8=(2,), expansion16=(2,), head=(8,), resolution=(0.5, 1.0),
    latent_channels=(4,),
)  # fmt: skip
LIMITS = CameraLimits(latency_ms=0.55, peak_bytes=22_000)
CONFIG = SearchConfig(
    Design.EDGE, SIZE[::-1], 2, limits=LIMITS, space=SPACE, trials=14, proxy="macs", population=4, trained=2, steps=2,
    batch=2,
)  # fmt: skip


class ByOutputs:
    """A device for which a block takes a microsecond for each hundred of its values."""

    def __init__(self, killed_after: float = math.inf) -> None:
        self.asked, self._killed_after = 0, killed_after

    def block_ms(self, block: Block) -> float:
        self.asked += 1
        if self.asked > self._killed_after:
            raise KeyboardInterrupt
        return block.inner * block.grid[0] * block.grid[1] / 1e5


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> MaskSetup:
    classes = {"classes": ["a", "b", "void"], "ignore_index": 2, "palette": [[0, 0, 0]] * 3}
    samples = list(made_up(tmp_path_factory.mktemp("data"), 3, classes))
    data = made_up(tmp_path_factory.mktemp("again"), 3, classes)
    return MaskSetup.of(data.classes, samples[:4], samples[4:], CONFIG.prices, batch=2, small_share=0.5)


def searching(folder: Path, setup: MaskSetup, config: SearchConfig = CONFIG, device: ByOutputs | None = None) -> Search:
    return Search(config, folder, setup, device or ByOutputs(), None, lambda _: None)


def test_nothing_over_a_limit_is_ever_reported_and_the_front_is_one(tmp_path: Path, setup: MaskSetup) -> None:
    search = searching(tmp_path, setup)
    front = search.run()
    looked_at = [trial.user_attrs["seen"] for trial in search.trials]
    assert len(looked_at) == CONFIG.trials
    assert {"latency_ms", "peak_bytes"} <= {name for seen in looked_at for name in seen["broken"]}, "both are tried"
    within = search.within_limits()
    for found in [*within, *front]:
        placed = blocks_of(found.candidate, Design.EDGE, CONFIG.size, 2)
        assert static_cost(placed).peak_bytes <= 22_000
        assert latency_ms(placed, ByOutputs()) <= 0.55
    points = [each.point for each in front]
    assert points == sorted(points)
    assert [accuracy for _, accuracy in points] == sorted((accuracy for _, accuracy in points), reverse=True)
    record = json.loads((tmp_path / FRONT).read_text())
    assert [row["camera_ms"] for row in record["rows"]] == [ms for ms, _ in points]
    assert {"budget_gmac", "design", "camera_gmac", "peak_mb", "bits_per_pixel", "cloud_gmac", "miou", "seeds"} <= set(
        record["rows"][0]
    )
    assert all(0 < row["miou"] < 1 and row["bits_per_pixel"] > 0 for row in record["rows"])
    assert read_frontier(tmp_path / FRONT).by_budget_gmac == {}, "a search says nothing of features beside masks"
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    assert "finished" in (tmp_path / "search.html").read_text()


def test_where_the_limits_admit_nothing_there_is_no_front(tmp_path: Path, setup: MaskSetup) -> None:
    config = replace(CONFIG, limits=CameraLimits(operators=frozenset({"Conv"})), trials=3)
    device = ByOutputs()
    assert searching(tmp_path, setup, config, device).run() == []
    assert device.asked == 0, "what cannot run there is not measured there"
    assert json.loads((tmp_path / FRONT).read_text())["rows"] == []


def test_a_search_that_is_killed_goes_on_and_looks_at_as_many(tmp_path: Path, setup: MaskSetup) -> None:
    config = replace(CONFIG, trained=0, trials=8)
    with pytest.raises(KeyboardInterrupt):
        searching(tmp_path, setup, config, ByOutputs(killed_after=17)).run()
    before = searching(tmp_path, setup, config).trials
    assert 0 < len(before) < 8
    device = ByOutputs()
    search = searching(tmp_path, setup, config, device)
    search.run()
    assert len(search.trials) == 8
    assert [trial.number for trial in search.trials[: len(before)]] == [trial.number for trial in before]
    asked = device.asked
    searching(tmp_path, setup, config, device).run()
    assert device.asked == asked, "all of it was done"
    searching(tmp_path, setup, replace(config, trials=9), device).run()
    assert len(search.trials) == 9


def test_a_run_folder_holds_one_search(tmp_path: Path, setup: MaskSetup) -> None:
    searching(tmp_path, setup)
    searching(tmp_path, setup, replace(CONFIG, trials=99, trained=3))
    with pytest.raises(ConfigError, match="was begun with proxy 'macs', now 'zico'"):
        searching(tmp_path, setup, replace(CONFIG, proxy="zico"))


def test_the_present_encoder_is_looked_at_first(tmp_path: Path, setup: MaskSetup) -> None:
    search = searching(tmp_path, setup, replace(CONFIG, space=Space(), limits=CameraLimits(), trials=1, trained=0))
    search.look()
    (trial,) = search.trials
    assert Candidate.of_record(trial.user_attrs["seen"]["candidate"]).shape == WeakShape()


def test_what_a_killed_search_was_looking_at_is_looked_at_once_more(tmp_path: Path, setup: MaskSetup) -> None:
    config = replace(CONFIG, space=Space(), limits=CameraLimits(), trials=1, trained=0)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            searching(tmp_path / "twice", setup, config, ByOutputs(killed_after=0)).look()
    with pytest.raises(KeyboardInterrupt):
        searching(tmp_path / "once", setup, config, ByOutputs(killed_after=0)).look()
    shapes = {}
    for name in ("once", "twice"):
        search = searching(tmp_path / name, setup, config)
        search.look()
        (trial,) = search.trials
        shapes[name] = Candidate.of_record(trial.user_attrs["seen"]["candidate"]).shape
    assert shapes["once"] == WeakShape(), "the present encoder is what others are compared with"
    assert shapes["twice"] != WeakShape(), "it may be what the device cannot run"


def test_what_is_over_a_limit_as_a_whole_is_left_out(
    tmp_path: Path, setup: MaskSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts are never quite the whole: the slice of an odd grid, what the exporter adds."""
    said: list[str] = []
    search = Search(replace(CONFIG, trained=0, trials=4), tmp_path, setup, ByOutputs(), None, said.append)
    search.look()
    within = search.within_limits()
    assert within
    monkeypatch.setattr(
        search, "measured_whole", lambda *_: replace(within[0].cost, peak_bytes=22_001, latency_ms=None)
    )
    assert search.run() == []
    assert any("as a whole is over peak_bytes" in line for line in said)


def test_a_network_takes_longer_on_a_share_of_a_processor(tmp_path: Path, setup: MaskSetup) -> None:
    class Gauge:
        def measure(self, model: bytes, effort: Effort) -> Measured:
            return Measured("1", (9.0,), 0.002, None, (), record={"processor_s": 0.002})

        def time_coding(self, job: object) -> Coded:
            raise AssertionError("nothing is coded here")

    config = replace(CONFIG, device="quota 0.25", trained=0)
    search = Search(config, tmp_path, setup, ByOutputs(), Gauge(), lambda _: None)
    small = Candidate(WeakShape(widths=(8, 8, 8), head=8))
    assert search.measured_whole(small, None, tmp_path / "camera").latency_ms == pytest.approx(8.0)


@pytest.mark.parametrize(("most", "level"), [(0.05, 1), (0.1, 0), (0.001, 2)])
def test_a_network_is_judged_at_its_best_level_within_the_bits(
    most: float, level: int, setup: MaskSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [training.Judgement(0.6, 0.06, 0, NO_FRAMES), training.Judgement(0.5, 0.04, 1, NO_FRAMES)]
    found.append(training.Judgement(0.4, 0.01, 2, NO_FRAMES))
    monkeypatch.setattr(training, "_judged_at", lambda _, __, level: found[level])
    network = built(Candidate(WeakShape(widths=(8, 8, 8))), Design.FEATURES, CloudShape(16, 1, 16, 16), 2, 3, seed=1)
    assert training.judge(network, setup, most).level == level


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_proxy_says_the_same_of_the_same_network_and_leaves_it_alone(proxy: str, setup: MaskSetup) -> None:
    shape = WeakShape(widths=(8, 8, 12), head=8, latent_channels=4)
    network = built(Candidate(shape, 0.5), Design.LAYERED, CloudShape(16, 1, 16, 16), 2, 3, seed=4)
    cost = static_cost(blocks_of(Candidate(shape, 0.5), Design.LAYERED, SIZE[::-1], 2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    subject = Subject(network, cost, setup.views(1, 0, 1)[0], mask_task(setup, 4, 1))
    said = [PROXIES[proxy](subject) for _ in range(2)]
    assert said[0] == said[1]
    assert math.isfinite(said[0])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_synflow_grows_with_the_network(setup: MaskSetup) -> None:
    def flow(width: int) -> float:
        shape = WeakShape(widths=(width, width, width), head=8)
        network = built(Candidate(shape), Design.EDGE, CloudShape(), 2, 3, seed=4)
        cost = static_cost(blocks_of(Candidate(shape), Design.EDGE, SIZE[::-1], 2))
        return PROXIES["synflow"](Subject(network, cost, setup.views(1, 0, 1)[0], mask_task(setup, 4, 1)))

    assert flow(8) < flow(16) < flow(32)


def test_masks_have_the_pictures_size_whatever_the_network_sees() -> None:
    network = built(Candidate(WeakShape(widths=(8, 8, 8), head=8), 2 / 3), Design.EDGE, CloudShape(), 2, 1, seed=1)
    assert isinstance(network, AtResolution)
    outcome = network(torch.zeros(2, 3, 70, 90), torch.tensor([0, 0]))
    assert outcome.logits.shape == (2, 2, 70, 90)
    assert network.camera(torch.zeros(2, 3, 70, 90))[0].shape[-2:] == (12, 16)
