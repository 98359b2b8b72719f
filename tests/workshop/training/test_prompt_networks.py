"""A network is judged on the fold that it left out, at the end of its training; any other is named."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.prompt import networks
from benchmarks.prompt.folds import Role, run_of
from benchmarks.prompt.networks import networks_of
from narrows.contract.errors import ConfigError, NarrowsError
from narrows.models.training.run import CHECKPOINT


def trained(runs: Path, monkeypatch: pytest.MonkeyPatch, *, fold: int | None, settings: str | None) -> None:
    """Fold 1's teacher, after 3 epochs; one alone would be exported whole."""
    run = run_of(runs, 1, Role.TEACHER)
    run.mkdir(parents=True)
    (run / CHECKPOINT).touch()
    if settings is not None:
        (run / "config.json").write_text(settings)
    monkeypatch.setattr(networks, "load_trained", lambda _: SimpleNamespace(fold=fold, epochs=3))
    monkeypatch.setattr(networks, "write_float", lambda _, path: path.touch())


@pytest.mark.parametrize(("asked", "judged"), [(3, True), (2, True), (4, False)])
def test_a_network_is_judged_at_the_end_of_its_training(
    asked: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, judged: bool
) -> None:
    trained(tmp_path, monkeypatch, fold=1, settings=f'{{"epochs": {asked}}}')
    found = [(each.by, each.fold, each.epochs) for each in networks_of(1, tmp_path, tmp_path)]
    assert found == ([("teacher", 1, 3)] if judged else [])
    assert len(list(networks_of(1, tmp_path, tmp_path, fully=False))) == 1
    assert list(networks_of(0, tmp_path, tmp_path)) == []


@pytest.mark.parametrize(("fold", "left_out"), [(0, "fold 0"), (None, "no fold")])
def test_a_network_that_has_seen_the_fold_is_refused(
    fold: int | None, left_out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path, monkeypatch, fold=fold, settings='{"epochs": 3}')
    with pytest.raises(ConfigError, match=f"left out {left_out}, so it has seen fold 1"):
        list(networks_of(1, tmp_path, tmp_path))


@pytest.mark.parametrize("settings", [None, "{}", '{"epochs": "many"}', '{"epochs": null}', "[]", "{"])
def test_settings_that_do_not_tell_how_long_are_named(
    settings: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path, monkeypatch, fold=1, settings=settings)
    with pytest.raises(NarrowsError, match=r"config\.json"):
        list(networks_of(1, tmp_path, tmp_path))
