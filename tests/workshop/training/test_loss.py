"""The loss of odd batches, and steps along gradients that are no numbers."""

import pytest
import torch
from torch import Tensor, nn

from narrows.contract.errors import TrainingDiverged
from narrows.models.training.loss import TrainingObjective
from narrows.models.training.run import take_step

IGNORED = 9


def objective(weights: tuple[float, ...] = (0.5, 2.0)) -> TrainingObjective:
    return TrainingObjective(torch.tensor(weights), torch.tensor([1.0]), IGNORED, overlap_share=1.0)


def test_a_batch_of_which_nothing_is_known_teaches_nothing_and_ends_nothing() -> None:
    logits = torch.zeros((2, 2, 3, 4), requires_grad=True)
    task = objective().task(logits, torch.full((2, 3, 4), IGNORED))
    task.backward()  # type: ignore[no-untyped-call]
    assert float(task.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_cross_entropy_is_the_mean_of_what_is_known_each_class_by_its_weight() -> None:
    labels = torch.tensor([[[0, 1, IGNORED]]])
    logits = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 7.0]]).T[None, :, None, :]
    surprise = -logits.log_softmax(dim=1)[0, :, 0, :]
    told = (0.5 * surprise[0, 0] + 2.0 * surprise[1, 1]) / 2.5
    found = TrainingObjective(torch.tensor([0.5, 2.0]), torch.tensor([1.0]), IGNORED, overlap_share=0.0)
    assert float(found.task(logits, labels)) == pytest.approx(float(told))


class Lone(nn.Module):
    """One weight, which a loss may be sharpest at."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def loss(self) -> Tensor:
        return self.weight.sqrt().sum()


def test_a_gradient_that_is_no_number_ends_the_run_before_it_reaches_a_weight() -> None:
    network = Lone()
    optimiser = torch.optim.AdamW(network.parameters())
    with pytest.raises(TrainingDiverged, match="the gradient is inf"):
        take_step(network, optimiser, network.loss())
    assert network.weight.tolist() == [0]
