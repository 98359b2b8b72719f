"""The recipe of compared networks: resumable at any step to the same weights, the best of its checks kept."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from narrows.models.training import fitting
from narrows.models.training.fitting import Recipe, Task, fit, groups_of

RECIPE = Recipe(steps=8, learning_rate=0.1, warmup_steps=2)


def quiet(_line: str) -> None: ...


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))


def loss(module: nn.Module, step: int) -> Tensor:
    torch.manual_seed(step)
    found: Tensor = module(torch.randn(2, 2, 3, 3)).square().mean() + module[0].weight.square().sum()  # type: ignore[index]
    return found


def fitted(path: Path, task: Task) -> dict[str, Tensor]:
    module = network()
    return fit(module, groups_of(module), RECIPE, task, path, quiet).state_dict()


@pytest.mark.parametrize("at_step", [0, 3, 6, 7])
def test_a_training_that_is_killed_comes_to_the_same_weights(
    at_step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "SAVE_EVERY", 1)
    scores = Task(loss, lambda module: -float(module(torch.ones(1, 2, 3, 3)).square().mean()))
    whole = fitted(tmp_path / "whole.pt", scores)

    def until(module: nn.Module, step: int) -> Tensor:
        if step == at_step:
            raise KeyboardInterrupt
        return loss(module, step)

    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "parts.pt", Task(until, scores.score))
    again = fitted(tmp_path / "parts.pt", scores)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts.pt", "whole.pt"]


def scored(values: list[float], seen: list[float]) -> Callable[[nn.Module], float]:
    """One after the other; what the network weighed then goes to ``seen``."""

    def score(module: nn.Module) -> float:
        seen.append(float(module[0].weight.sum()))  # type: ignore[index]
        return values[len(seen) - 1]

    return score


@pytest.mark.parametrize(("values", "best"), [([0.5, 0.4], 0), ([0.4, 0.5], 1)])
def test_the_best_of_its_checks_is_kept(values: list[float], best: int, tmp_path: Path) -> None:
    seen: list[float] = []
    chosen = fitted(tmp_path / "chosen.pt", Task(loss, scored(values, seen)))
    assert len(seen) == 2
    assert float(chosen["0.weight"].sum()) == pytest.approx(seen[best])
