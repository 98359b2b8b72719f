"""A network that was trained elsewhere is asked what it has seen, and what it learnt from, all the way back."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.unseen import check_unseen
from narrows.contract.errors import ConfigError
from narrows.models.training.config import TrainingConfig
from narrows.models.training.origin import LABELLED_BY, keep_origin
from tests.workshop.training.conftest import four_pictures
from tests.workshop.training.small_run import config

JUDGED = ("s0", "s1", "x_9")


def begun(folder: Path, asked: TrainingConfig) -> Path:
    folder.mkdir()
    asked.write(folder / "config.json")
    return folder


def test_a_run_of_other_pictures_may_be_learnt_from(data: Path, tmp_path: Path) -> None:
    check_unseen(begun(tmp_path / "road", config(data, 1)), ["x_9"])


@pytest.mark.parametrize(("left_out", "seen"), [(None, "s0"), ("s0", "s1"), ("x_*", "s0")])
def test_a_run_that_was_trained_on_a_sample_may_not(
    left_out: str | None, seen: str, data: Path, tmp_path: Path
) -> None:
    run = begun(tmp_path / "run", replace(config(data, 1), leave_out=left_out))
    with pytest.raises(ConfigError, match=f"has seen {seen}, which is judged"):
        check_unseen(run, JUDGED)


def test_a_run_that_left_all_of_them_out_may(data: Path, tmp_path: Path) -> None:
    check_unseen(begun(tmp_path / "run", replace(config(data, 1), leave_out="s[01]")), JUDGED)


def test_a_run_whose_data_are_gone_has_seen_what_it_did_not_leave_out(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", replace(config(tmp_path / "gone", 1), leave_out="s?"))
    check_unseen(run, ["s0", "s1"])
    with pytest.raises(ConfigError, match="has seen x_9"):
        check_unseen(run, JUDGED)


@pytest.mark.parametrize("lent", ["begin_from", "teacher"])
def test_what_a_run_learnt_from_counts_all_the_way_back(lent: str, data: Path, tmp_path: Path) -> None:
    other = four_pictures(tmp_path / "other")
    (other / "train.txt").write_text("s3\n")
    saw = begun(tmp_path / "saw", config(data, 1))
    between = begun(tmp_path / "between", replace(config(other, 1), **{lent: saw}))  # type: ignore[arg-type]  # of two fields
    last = begun(tmp_path / "last", replace(config(other, 1), begin_from=between))
    with pytest.raises(ConfigError, match=r"the network of .*saw has seen s0"):
        check_unseen(last, JUDGED)
    check_unseen(last, ["x_9"])
    bundle = begun(tmp_path / "of-bundle", replace(config(other, 1), **{lent: tmp_path / "bundle"}))  # type: ignore[arg-type]  # of two fields
    with pytest.raises(ConfigError, match=r"of-bundle learnt from .*bundle, which may have seen what is judged"):
        check_unseen(bundle, ["x_9"])


def test_a_run_with_a_beginning_and_a_teacher_learnt_from_both(data: Path, tmp_path: Path) -> None:
    other = four_pictures(tmp_path / "other")
    (other / "train.txt").write_text("s3\n")
    saw, road = begun(tmp_path / "saw", config(data, 1)), begun(tmp_path / "road", config(other, 1))
    for number, (begin_from, teacher) in enumerate([(saw, road), (road, saw)]):
        run = begun(tmp_path / f"run-{number}", replace(config(other, 1), begin_from=begin_from, teacher=teacher))
        with pytest.raises(ConfigError, match=r"the network of .*saw has seen s0"):
            check_unseen(run, JUDGED)


def test_runs_that_began_from_one_another_are_asked_once(data: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    begun(one, replace(config(data, 1), begin_from=two))
    begun(two, replace(config(data, 1), begin_from=one))
    check_unseen(one, ["x_9"])


def test_labels_that_a_network_made_may_tell_what_it_saw(data: Path, tmp_path: Path) -> None:
    (data / LABELLED_BY).write_text("run camvid, 90 epochs\n")
    with pytest.raises(ConfigError, match="learnt from run camvid, 90 epochs, which may have seen"):
        check_unseen(begun(tmp_path / "run", config(data, 1)), ["x_9"])


def test_a_beginning_that_the_settings_forgot_when_a_run_went_on_counts(data: Path, tmp_path: Path) -> None:
    first = begun(tmp_path / "first", config(data, 1))
    gone_on = begun(tmp_path / "gone-on", config(data, 1))
    keep_origin(gone_on, first, begun=False)
    with pytest.raises(ConfigError, match="learnt from run first, 0 epochs, which may have seen"):
        check_unseen(gone_on, ["x_9"])


def test_a_beginning_that_another_took_the_place_of_when_a_run_went_on_counts(data: Path, tmp_path: Path) -> None:
    first, second = (begun(tmp_path / name, config(data, 1)) for name in ("first", "second"))
    gone_on = begun(tmp_path / "gone-on", replace(config(data, 1), begin_from=second))
    keep_origin(gone_on, first, begun=False)
    with pytest.raises(ConfigError, match="learnt from run first, 0 epochs, which may have seen"):
        check_unseen(gone_on, ["x_9"])
    keep_origin(gone_on, second, begun=False)
    (second / "progress.jsonl").write_text('{"epoch": 4}\n')  # it went on meanwhile
    check_unseen(gone_on, ["x_9"])


@pytest.mark.parametrize("named", [b"", b"\n", b"\xff\n"])
def test_labels_of_a_network_that_nothing_names_may_tell_too(named: bytes, data: Path, tmp_path: Path) -> None:
    (data / LABELLED_BY).write_bytes(named)
    with pytest.raises(ConfigError, match=r"learnt from .*, which may have seen"):
        check_unseen(begun(tmp_path / "run", config(data, 1)), ["x_9"])


def test_a_folder_that_is_no_run_tells_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no config\.json: nothing tells"):
        check_unseen(tmp_path, ["x_9"])
