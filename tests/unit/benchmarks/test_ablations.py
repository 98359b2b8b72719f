"""Ablations change one thing each, and only runs that ended are told of."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ablations import __main__ as ablations
from benchmarks.ablations.__main__ import FIGURES, ended
from benchmarks.ablations.figures import render
from benchmarks.ablations.ideas import IDEAS, PLAIN, settings
from narrows.models.training.progress import append_record

PLACES = (Path("data"), Path("bundle"), 3)


def record(epoch: int, miou: float) -> dict[str, float]:
    return {"epoch": epoch, **dict.fromkeys(FIGURES, 0.01), "miou2": miou}


@pytest.mark.parametrize("name", [name for name in IDEAS if name != PLAIN])
def test_each_idea_changes_one_setting_of_the_plain_run(name: str) -> None:
    plain, changed = (asdict(settings(IDEAS[each], *PLACES)) for each in (PLAIN, name))
    assert [key for key in plain if plain[key] != changed[key]] == list(IDEAS[name].changes)


def test_a_run_that_did_not_end_tells_nothing(tmp_path: Path) -> None:
    config = settings(IDEAS[PLAIN], *PLACES)
    assert ended(PLAIN, config, tmp_path) == []
    append_record(tmp_path, record(2, 0.5))
    assert ended(PLAIN, config, tmp_path) == []
    append_record(tmp_path, {"epoch": 3, "loss": 1.0})  # killed in the check
    assert ended(PLAIN, config, tmp_path) == []
    append_record(tmp_path, record(3, 0.6))
    (row,) = ended(PLAIN, config, tmp_path)
    assert (row["idea"], row["miou2"]) == (PLAIN, 0.6)
    append_record(tmp_path, record(4, 0.7))  # a longer run, which stands beside no shorter ones
    assert ended(PLAIN, config, tmp_path) == []


def test_the_table_shows_points_beside_the_plain_run_and_names_what_was_not_run() -> None:
    rows = [
        {"idea": name, "told": IDEAS[name].told} | record(3, miou)
        for name, miou in ((PLAIN, 0.6), ("bad-pictures", 0.625))
    ]
    shown = render({"ideas": rows, "not_run": ["fast-trunk"]})
    assert "60.0% |" in shown
    assert "62.5% (+2.5)" in shown
    assert "Not run: fast-trunk." in shown


def test_what_one_call_does_not_train_is_told_of_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (PLAIN, "bad-pictures"):
        (tmp_path / name).mkdir()
        append_record(tmp_path / name, record(3, 0.6))
    written: dict[str, Any] = {}
    monkeypatch.setattr(ablations, "write_result", lambda _name, _command, figures: written.update(figures))
    monkeypatch.setattr("sys.argv", ["ablations", "--table", "--only", PLAIN, "--runs", str(tmp_path)])
    ablations.main()
    assert [row["idea"] for row in written["ideas"]] == [PLAIN, "bad-pictures"]
    assert written["not_run"] == sorted(set(IDEAS) - {PLAIN, "bad-pictures"})
