"""A training that is killed at any instant loses no epoch's line, no check and no page."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from narrows.models.nn.network import JointNetwork, NetworkOutput
from narrows.models.training import loop
from narrows.models.training.loop import set_learning_rate, train
from narrows.models.training.run import Run
from tests.workshop.training.conftest import four_pictures
from tests.workshop.training.small_run import config, progress


def quiet(_line: str) -> None: ...


def killed(*_args: Any, **_named: Any) -> None:
    raise KeyboardInterrupt


def untimed(run: Path) -> list[dict[str, float]]:
    by_epoch = {record["epoch"]: record for record in progress(run)}
    return [{name: value for name, value in record.items() if name != "seconds"} for record in by_epoch.values()]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    folder = tmp_path_factory.mktemp("unbroken")
    train(replace(config(four_pictures(folder / "data"), 2), check_share=0.25), folder / "run", quiet)
    return untimed(folder / "run")


@pytest.mark.parametrize(
    ("instant", "at_call"),
    [("check", 1), ("check", 4), ("append_record", 2), ("append_record", 4), ("write_run_page", 2)],
)
def test_a_run_that_is_killed_tells_all_that_an_unbroken_one_does(
    instant: str,
    at_call: int,
    unbroken: list[dict[str, float]],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = replace(config(data, 2), check_share=0.25)
    with monkeypatch.context() as patch:
        patch.setattr(loop, instant, killed_at(at_call, getattr(loop, instant)))
        patch.setattr(loop, "PAGE_EVERY_S", 0.0)
        with pytest.raises(KeyboardInterrupt):
            train(asked, tmp_path / "parts", quiet)
        train(asked, tmp_path / "parts", quiet)
    assert untimed(tmp_path / "parts") == unbroken
    assert "Epoch 2 of 2, finished" in (tmp_path / "parts" / "training.html").read_text()
    assert "2 of 2 epochs" in (tmp_path / "parts" / "MODEL_CARD.md").read_text()


def killed_at(call: int, usual: Callable[..., Any]) -> Callable[..., Any]:
    """As usual, but killed at that call, and not again."""
    calls = 0

    def either(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        return killed() if calls == call else usual(*args, **named)

    return either


def test_an_epoch_is_told_of_before_it_counts_as_done(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config(data, 1), tmp_path / "run", quiet)
    assert [record["epoch"] for record in progress(tmp_path / "run")] == [1]
    train(config(data, 1), tmp_path / "run", quiet)
    assert [record["epoch"] for record in progress(tmp_path / "run")] == [1, 1]


def test_a_run_that_goes_on_follows_the_schedule_where_it_was(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = replace(config(data, 4), rounded_tail=0.5)
    places: list[tuple[int, int]] = []
    rounded: list[bool] = []
    forward = JointNetwork.forward

    def see(network: JointNetwork, pictures: Tensor, level: Tensor, *, rounded_rate: bool) -> NetworkOutput:
        rounded.append(rounded_rate)
        return forward(network, pictures, level, rounded_rate=rounded_rate)

    monkeypatch.setattr(
        loop, "set_learning_rate", lambda _optimiser, step, total, _warmup: places.append((step, total))
    )
    monkeypatch.setattr(JointNetwork, "forward", see)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_run_page", killed)
        with pytest.raises(KeyboardInterrupt):
            train(asked, tmp_path / "run", quiet)
    train(asked, tmp_path / "run", quiet)
    assert places == [(step, 8) for step in range(8)]
    assert rounded == [False] * 4 + [True] * 4


def test_the_learning_rate_rises_falls_to_nothing_and_keeps_each_groups_share() -> None:
    optimiser = torch.optim.SGD([{"params": [torch.zeros(1)], "peak": peak} for peak in (1.0, 0.25)], lr=9.0)
    rates = []
    for step in range(100):
        set_learning_rate(optimiser, step, 100, 10)
        rates.append([group["lr"] for group in optimiser.param_groups])
    assert [slow / fast for fast, slow in rates] == pytest.approx([0.25] * 100)
    fast = [rate for rate, _ in rates]
    assert fast[0] == pytest.approx(0.1)
    assert max(fast) == pytest.approx(fast[9], rel=0.01)
    assert fast[50] == pytest.approx(0.5)
    assert 0 < fast[99] < 0.001
