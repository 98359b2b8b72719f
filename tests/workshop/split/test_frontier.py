"""The frontier holds every design that no other beats, and nothing else."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from narrows.cli.split import split
from narrows.contract.errors import ConfigError, DatasetError, SplitError
from narrows.models.split.agreement import agreement
from narrows.models.split.feeding import Feeding, Normalisation
from narrows.models.split.frontier import Design, Limits, pareto, worthwhile
from narrows.models.split.page import frontier_page
from tests.workshop.split.networks import RESIDUAL, opened, unmeasured, written

BASE = Design("split", ("a",), "4 bits", 5.0, 100.0, 5.0, 1000, 0.9, ("Conv", "Relu"))


def test_a_design_that_another_beats_is_left_out() -> None:
    worse = replace(BASE, link_bytes=101.0)
    better_elsewhere = replace(BASE, link_bytes=150.0, agreement=0.95)
    assert pareto([worse, BASE, better_elsewhere]) == [BASE, better_elsewhere]


@pytest.mark.parametrize("field", ["device_ms", "link_bytes", "server_ms", "memory_bytes"])
def test_every_cost_counts(field: str) -> None:
    cheaper = replace(BASE, **{field: getattr(BASE, field) - 1}, agreement=0.8)
    assert set(pareto([BASE, cheaper])) == {BASE, cheaper}


def test_of_equal_designs_one_stays() -> None:
    assert pareto([BASE, replace(BASE, sent="other")]) == [BASE]


def test_the_device_s_limits_filter() -> None:
    assert Limits().admit(BASE)
    assert Limits(memory_bytes=1000, operators=frozenset({"Conv", "Relu", "Add"})).admit(BASE)
    assert not Limits(memory_bytes=999).admit(BASE)
    assert not Limits(operators=frozenset({"Conv"})).admit(BASE)


def test_agreement_is_of_labels_of_the_greatest_channel_or_of_masks() -> None:
    labels = np.array([[0, 1, 2, 3]])
    assert agreement(labels, np.array([[0, 1, 2, 2]])) == 0.75
    logits = np.zeros((1, 2, 1, 4), np.float32)
    logits[0, 1, 0, :3] = 1
    other = logits.copy()
    other[0, 1, 0, 2] = -1
    assert agreement(other, logits) == 0.75
    mask = np.array([[[[0.9, 0.8, 0.2, 0.1]]]], np.float32)
    assert agreement(np.array([[[[0.9, 0.1, 0.9, 0.1]]]], np.float32), mask) == pytest.approx(1 / 3)
    assert agreement(mask * 0, mask * 0) == 1.0


def test_pictures_are_fed_as_the_network_takes_them(tmp_path: Path) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[..., 0] = 200
    network = opened(RESIDUAL, tmp_path)
    fed = Feeding.of(network, Normalisation((100.0, 0.0, 50.0), (50.0, 1.0, 25.0))).feed(picture)
    assert fed.shape == (1, 3, 8, 8)
    assert fed.dtype == np.float32
    assert fed[0, :, 0, 0].tolist() == [2.0, 0.0, -2.0]
    swapped = Feeding.of(network, Normalisation(bgr=True)).feed(picture)
    assert swapped[0, :, 0, 0] == pytest.approx([0, 0, 200 / 255])
    text = '<ir_version: 8, opset_import: ["" : 17]> g (uint8[1,4,4,3] x) => (uint8[1,4,4,3] y) { y = Identity (x) }'
    plain = Feeding.of(opened(text, tmp_path), Normalisation()).feed(picture)
    assert plain.shape == (1, 4, 4, 3)
    assert plain.dtype == np.uint8
    assert plain[0, 0, 0, 0] == 200


def test_an_input_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[1,7] x) => (float[1,7] y) { y = Relu (x) }'
    with pytest.raises(SplitError, match="input x is 1x7: no picture"):
        Feeding.of(opened(text, tmp_path), Normalisation())


class Balanced(HTMLParser):
    """Counts what is opened and what is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        self.counts[tag] = self.counts.get(tag, 0) - 1


def test_the_page_has_a_dot_for_each_design_and_fetches_nothing() -> None:
    designs = [BASE, replace(BASE, kind="server only", tensors=(), sent="<JPEG> 30", link_bytes=5e4, agreement=0.99)]
    page = frontier_page("a <network>", designs, [BASE])
    reader = Balanced()
    reader.feed(page)
    assert {tag for tag, open_tags in reader.counts.items() if open_tags} <= {"meta", "path"}
    assert page.count("<circle") == 2
    assert "&lt;JPEG&gt; 30" in page
    assert "http" not in page


def test_a_cut_of_more_bytes_than_the_picture_is_worth_a_look_only_where_there_is_no_other(tmp_path: Path) -> None:
    wide = RESIDUAL.replace("float[4,3,3,3] w", "float[4,3,3,3] w, float[3,3,1,1] first")
    wide = wide.replace("  a = Conv", "  before = Conv (picture, first)\n  a = Conv").replace(
        "(picture, w)", "(before, w)"
    )
    found = unmeasured(opened(wide, tmp_path))
    assert ("before",) in {cut.names for cut in found.cuts}
    assert [cut.names for cut in worthwhile(found)] == [("a",), ("f",)]
    alike = '<ir_version: 8, opset_import: ["" : 17]> g (float[1,3,8,8] x) => (float[1,3,1,1] y) '
    alike += "{ a = Relu (x) y = GlobalAveragePool (a) }"
    assert [cut.names for cut in worthwhile(unmeasured(opened(alike, tmp_path)))] == [("a",)]


def folder_of_pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    random = np.random.default_rng(5)
    for index in range(count):
        Image.fromarray(random.integers(0, 255, (9, 12, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    return folder


def test_the_command_compares_all_designs(tmp_path: Path) -> None:
    model = written(RESIDUAL, tmp_path / "small.onnx")
    pictures = folder_of_pictures(tmp_path / "pictures", 8)
    files = ["--json", str(tmp_path / "f.json"), "--html", str(tmp_path / "f.html")]
    short = ["--runs", "2", "--seconds", "0"]
    words = ["frontier", str(model), "--pictures", str(pictures), *files, *short]
    result = CliRunner().invoke(split, words, catch_exceptions=False)
    assert result.exit_code == 0
    designs = json.loads((tmp_path / "f.json").read_text())["designs"]
    assert {each["kind"] for each in designs} == {"device only", "server only", "split"}
    assert {each["sent"].split()[0] for each in designs if each["kind"] == "server only"} == {"JPEG", "WebP"}
    fine = [each for each in designs if each["sent"] == "8 bits by range, packed"]
    assert fine
    assert all(each["agreement"] >= 0.75 for each in fine)
    assert any(each["pareto"] for each in designs)
    assert "<svg" in (tmp_path / "f.html").read_text()
    limited = CliRunner().invoke(split, [*words, "--operators", "Conv"], catch_exceptions=False)
    assert limited.exit_code == 0
    kinds = {tuple(each["tensors"]) for each in json.loads((tmp_path / "f.json").read_text())["designs"]}
    assert kinds <= {(), ("a",)}


def test_too_few_pictures_and_odd_numbers_are_refused(tmp_path: Path) -> None:
    model = written(RESIDUAL, tmp_path / "small.onnx")
    lone = folder_of_pictures(tmp_path / "one", 1)
    with pytest.raises(DatasetError, match="has 1 pictures"):
        CliRunner().invoke(split, ["frontier", str(model), "--pictures", str(lone)], catch_exceptions=False)
    words = ["frontier", str(model), "--pictures", str(lone), "--mean", "1,2"]
    with pytest.raises(ConfigError, match="--mean '1,2' is not three numbers"):
        CliRunner().invoke(split, words, catch_exceptions=False)
