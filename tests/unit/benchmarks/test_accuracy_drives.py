"""A drive is judged whole, from whichever split its frames are in, and at one rate."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.accuracy import unseen as accuracy
from benchmarks.accuracy.__main__ import float_rows_of
from benchmarks.accuracy.drives import Drive, drives_of
from benchmarks.accuracy.figures import render
from benchmarks.accuracy.unseen import at_rate, beside_others, trained
from narrows.contract.bundle import Bundle
from narrows.contract.errors import ConfigError, DatasetError
from narrows.models.evaluation.score import Evaluation
from narrows.models.training.config import TrainingConfig

CLASSES = '{"classes": ["road"], "ignore_index": 255, "size": [8, 8], "palette": [[0, 0, 0]]}'


def _folder(root: Path, **names: str) -> Path:
    (root / "classes.json").write_text(CLASSES)
    for split, listed in names.items():
        (root / f"{split}.txt").write_text(listed.replace(" ", "\n"))
    return root


def _level(bits_per_pixel: float, miou: float) -> Evaluation:
    return Evaluation("b", 0, "here", 1, miou, miou, bits_per_pixel, {})


def test_a_drive_has_all_its_frames_of_both_splits(tmp_path: Path) -> None:
    drives = drives_of(_folder(tmp_path, train="x_1 y_1 y_2", val="y_3"))
    assert [(each.name, len(each), each.pattern) for each in drives] == [("x", 1, "x_*"), ("y", 3, "y_*")]
    assert [part.names for part in drives[1].parts] == [("y_1", "y_2"), ("y_3",)]


def test_a_drive_has_no_frames_of_one_whose_name_begins_as_its_does(tmp_path: Path) -> None:
    drives = drives_of(_folder(tmp_path, train="x_1 y_1", val="x1_2"))
    assert [[part.names for part in each.parts] for each in drives] == [[("x_1",)], [("x1_2",)], [("y_1",)]]


def test_data_of_one_drive_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"all frames are of one drive \(x\)"):
        drives_of(_folder(tmp_path, train="x_1", val="x_2"))


def test_samples_whose_names_tell_no_drive_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="sample s2 names no drive: call it DRIVE_s2"):
        drives_of(_folder(tmp_path, train="x_1 s2", val="s3"))


@pytest.mark.parametrize(("rate", "miou"), [(0.04, 0.65), (0.01, 0.6), (0.1, 0.7), (0.05, 0.7)])
def test_accuracy_at_a_rate_lies_on_the_line_between_levels(rate: float, miou: float) -> None:
    assert at_rate([_level(0.05, 0.7), _level(0.03, 0.6)], rate) == pytest.approx(miou)


@pytest.mark.parametrize(("whole", "floor"), [(78, True), (22, False)])
def test_the_figure_leads_with_drives_not_seen_and_calls_a_short_training_a_floor(*, whole: int, floor: bool) -> None:
    drive = {"drive": "x", "frames": 3, "epochs": [14, 8], "miou": 0.375, "levels": []}
    unseen = {
        "bits_per_pixel": 0.04,
        "recipe_epochs": whole,
        "mean_miou": 0.375,
        "lowest_miou": 0.32,
        "highest_miou": 0.42,
        "drives": [drive],
    }
    first = render({"levels": [], "unseen_drives": unseen}).partition("\n\n")[0]
    assert "**37.5% mIoU** at 0.04 bits per pixel, 32.0% to 42.0%" in first
    assert "for 22 epochs" in first
    assert ("where the recipe has 78: a floor" in first) is floor


def test_of_folds_of_different_length_none_is_said_to_be_as_long_as_the_first() -> None:
    drives = [
        {"drive": name, "frames": 3, "epochs": epochs, "miou": 0.4, "levels": []}
        for name, epochs in (("x", [48, 30]), ("y", [14, 8]))
    ]
    unseen = {"bits_per_pixel": 0.04, "recipe_epochs": 78, "mean_miou": 0.4, "lowest_miou": 0.4, "highest_miou": 0.4}
    first = render({"levels": [], "unseen_drives": unseen | {"drives": drives}}).partition("\n\n")[0]
    assert "for 22 to 78 epochs, where the recipe has 78: a floor" in first


@pytest.mark.parametrize(
    ("begun_from", "told"), [(None, "for 78 epochs. "), ("run road, 8 epochs", "before (run road, 8 epochs). ")]
)
def test_the_figure_says_what_the_folds_learnt_before(begun_from: str | None, told: str) -> None:
    drives = [{"drive": "x", "frames": 3, "epochs": [48, 30], "miou": 0.4, "levels": [], "begun_from": begun_from}]
    unseen = {"bits_per_pixel": 0.04, "recipe_epochs": 78, "mean_miou": 0.4, "lowest_miou": 0.4, "highest_miou": 0.4}
    assert told in render({"levels": [], "unseen_drives": unseen | {"drives": drives}})


def test_a_drive_is_judged_at_the_rate_of_comparison_by_the_bundle_that_has_not_seen_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (drive, _) = drives_of(_folder(tmp_path, train="x_1 y_1", val="y_3"))
    folder = tmp_path / "folds" / drive.name
    folder.mkdir(parents=True)
    TrainingConfig(tmp_path, "train", None, leave_out=drive.pattern).write(folder / "config.json")
    opened: list[Path] = []

    def open_bundle(path: Path) -> SimpleNamespace:
        opened.append(path)
        return SimpleNamespace(manifest=SimpleNamespace(levels=(0, 1)), encoder_path=path)

    monkeypatch.setattr(Bundle, "open", open_bundle)
    monkeypatch.setattr(accuracy, "camera", lambda *_: None)
    levels = [_level(0.05, 0.7), _level(0.03, 0.6)]
    monkeypatch.setattr(accuracy, "evaluate_bundle", lambda _bundle, _drive, level, encode: levels[level])
    (folder / "origin.json").write_text('{"begun_from": "run road, 8 epochs"}')
    found = accuracy.judge_drive(drive, folder)
    assert (found["miou"], found["begun_from"]) == (0.65, "run road, 8 epochs")
    assert opened == [folder / "bundle"]


def _found(miou: float, begun_from: str | None, drive: str = "x") -> dict[str, Any]:
    level = {"level": 1, "per_class_iou": {"road": miou, "pole": None}}
    row = {"drive": drive, "frames": 3, "epochs": [14, 8], "miou": miou, "levels": [level], "begun_from": begun_from}
    told = dict.fromkeys(("mean_miou", "lowest_miou", "highest_miou"), miou)
    return {"bits_per_pixel": 0.04, "recipe_epochs": 78, "drives": [row], **told}


def test_a_result_keeps_what_it_had_of_another_beginning_beside_what_is_found_now() -> None:
    first = beside_others(_found(0.3, None), {})
    second = beside_others(_found(0.4, "run road, 8 epochs"), first)
    third = beside_others(_found(0.5, "run road, 8 epochs"), second)
    assert [each["mean_miou"] for each in (third["unseen_drives"], *third["unseen_drives_of_other_beginnings"])] == [
        0.5,
        0.3,
    ]
    assert beside_others(None, third) == third
    assert beside_others(None, {}) == {}


def test_recipes_of_another_beginning_stand_beside_the_newest() -> None:
    result = beside_others(_found(0.4, "run road, 8 epochs"), beside_others(_found(0.3, None), {}))
    text = render({"levels": [], **result})
    assert "| drive left out | frames | mIoU | from ImageNet, 22 epochs |" in text
    assert "| x | 3 | 40.0% | 30.0% |" in text
    assert "| mean |  | 40.0% | 30.0% |" in text
    assert "By class, at level 1, the mean over drives: road 40.0% (30.0%)." in text


def test_a_mean_over_other_drives_does_not_stand_beside_the_newest() -> None:
    result = beside_others(_found(0.4, "run road, 8 epochs"), beside_others(_found(0.3, None, "y"), {}))
    text = render({"levels": [], **result})
    assert "| x | 3 | 40.0% |  |" in text
    assert "| mean |  | 40.0% |  |" in text
    assert "the mean over drives: road 40.0%." in text


def test_every_drive_is_judged_by_its_own_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drives = drives_of(_folder(tmp_path, train="x_1 y_1", val="z_3"))
    mious = {"x": 0.4, "y": 0.3, "z": 0.8}

    def judge(drive: Drive, folder: Path) -> dict[str, Any]:
        assert folder == tmp_path / "folds" / drive.name
        return {"drive": drive.name, "miou": mious[drive.name]}

    monkeypatch.setattr(accuracy, "judge_drive", judge)
    found = accuracy.judge_unseen(drives, tmp_path / "folds")
    assert [each["drive"] for each in found["drives"]] == ["x", "y", "z"]
    assert [found[f"{name}_miou"] for name in ("lowest", "mean", "highest")] == pytest.approx([0.3, 0.5, 0.8])


def test_iou_of_a_class_is_the_mean_over_the_drives_that_have_it() -> None:
    unseen = _found(0.4, None)
    rows = [
        unseen["drives"][0] | {"drive": drive, "levels": [{"level": 1, "per_class_iou": {"road": road, "pole": pole}}]}
        for drive, road, pole in (("x", 0.6, 0.0), ("y", 0.8, None), ("z", 1.0, 0.1))
    ]
    assert "road 80.0%, pole 5.0%." in render({"levels": [], "unseen_drives": unseen | {"drives": rows}})


def test_a_level_shows_the_int8_encoder_beside_the_float_one_and_the_int8_decoder() -> None:
    row = {"level": 0, "packet_bytes": 1775, "bits_per_pixel": 0.08}
    rows = [row | {"encoder": "float", "miou": 0.72}, row | {"encoder": "int8", "miou": 0.7}]
    text = render({"levels": rows, "int8_decoder": [row | {"encoder": "int8", "miou": 0.69}]})
    assert "| 0 | 1,775 | 0.080 | 70.0% | 72.0% | 69.0% |" in text


def test_what_was_known_of_a_float_encoder_that_is_gone_is_kept_for_the_same_bundle_and_data() -> None:
    old = [{"encoder": "int8", "level": 0}, {"encoder": "float", "level": 0}]
    former = {"bundle": "ab", "command": "of val", "levels": old}
    assert float_rows_of(former, "ab", "of val", [{"encoder": "int8"}]) == [{"encoder": "float", "level": 0}]
    assert float_rows_of(former, "cd", "of val", [{"encoder": "int8"}]) == []
    assert float_rows_of(former, "ab", "of train", [{"encoder": "int8"}]) == []
    assert float_rows_of(former, "ab", "of val", [{"encoder": "int8"}, {"encoder": "float"}]) == []
    assert float_rows_of({}, "ab", "of val", []) == []


def test_a_network_that_has_seen_its_drive_is_refused(tmp_path: Path) -> None:
    data, folds = _folder(tmp_path, train="x_1 y_1", val="y_3"), tmp_path / "folds"
    for drive, left_out in (("x", "x_*"), ("y", "x_*")):
        assert trained(data, folds) == []
        (folds / drive / "bundle").mkdir(parents=True)
        (folds / drive / "bundle" / "manifest.json").touch()
        TrainingConfig(data, "train", None, leave_out=left_out).write(folds / drive / "config.json")
    with pytest.raises(ConfigError, match=r"y has seen y_1, which is judged"):
        trained(data, folds)
    TrainingConfig(data, "train", None, leave_out="y_*").write(folds / "y" / "config.json")
    assert [drive.name for drive in trained(data, folds)] == ["x", "y"]
