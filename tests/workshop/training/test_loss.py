"""What training goes down, how fast each part does, and what it does not follow."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from narrows.contract.errors import TrainingDiverged
from narrows.models.nn.network import JointNetwork, NetworkOutput, NetworkShape
from narrows.models.nn.rate import add_noise
from narrows.models.training.config import TrainingConfig
from narrows.models.training.loss import TrainingObjective
from narrows.models.training.run import Run, averaged_share, follow, take_step
from narrows.models.training.teacher import Teacher, divergence

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


def test_a_bit_costs_what_its_own_level_says() -> None:
    class Outcome(NamedTuple):
        logits: Tensor
        bits: Tensor

    labels, level = torch.zeros((2, 3, 4), dtype=torch.long), torch.tensor([1, 0])
    wanted = TrainingObjective(torch.ones(2), torch.tensor([0.5, 3.0]), IGNORED, overlap_share=1.0)
    parts = wanted.loss(Outcome(torch.zeros(2, 2, 3, 4), torch.tensor([24.0, 12.0])), labels, level)
    assert parts.bits_per_pixel.tolist() == [2, 1]
    assert float(parts.whole - parts.task) == pytest.approx((3.0 * 2 + 0.5 * 1) / 2)


def test_the_trunk_learns_slower_gains_and_rate_faster_all_once_and_no_norm_or_bias_decays() -> None:
    network = JointNetwork(NetworkShape(classes=2, latent_channels=4, levels=2))
    asked = TrainingConfig(Path("data"), "train", None, learning_rate=1.0, trunk_share=0.25, scale_share=4.0)
    groups = Run.begin(network, asked).optimiser.param_groups
    peaks = {id(each): group["peak"] for group in groups for each in group["params"]}
    decays = {id(each): group["weight_decay"] for group in groups for each in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters())) == len(peaks)
    wanted = {"encoder.trunk": 0.25, "gains": 4.0, "rate": 4.0}
    for name, parameter in network.named_parameters():
        assert peaks[id(parameter)] == next((peak for part, peak in wanted.items() if name.startswith(part)), 1.0), name
        if parameter.ndim <= 1 or name.startswith(("gains", "rate")):
            assert not decays[id(parameter)], name
        else:
            assert decays[id(parameter)] == asked.weight_decay, name


def test_a_teacher_is_worth_its_shares() -> None:
    chance = torch.Generator().manual_seed(2)
    features, logits, said = (
        torch.randn(size, generator=chance) for size in ((1, 4, 2, 2), (1, 3, 2, 2), (1, 3, 2, 2))
    )
    told, heard = (torch.softmax(each / 2, dim=1) for each in (logits, said))
    apart = float((told * (told / heard).log()).sum(dim=1).mean()) * 4
    assert float(divergence(logits, said)) == pytest.approx(apart, rel=1e-5)

    class Seen(Teacher):
        def look(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
            del pictures
            return features, logits

    student = NetworkOutput(said, torch.zeros(1), -features)
    network = JointNetwork(NetworkShape(classes=3, latent_channels=4, levels=2))
    found = Seen(network, share=0.5, feature_share=3.0).loss(student, torch.zeros(1, 3, 8, 8))
    assert float(found) == pytest.approx(0.5 * apart + 3.0 * 4, rel=1e-5)  # opposite directions are 4 apart
    assert float(Seen(network, share=0.5).loss(student, torch.zeros(1, 3, 8, 8))) == pytest.approx(0.5 * apart)


def test_an_average_keeps_its_share_of_itself_and_more_of_it_later() -> None:
    average, network = nn.BatchNorm2d(1), nn.BatchNorm2d(1)
    nn.init.constant_(network.weight, 3.0)
    network.get_buffer("running_mean").fill_(10.0)
    network.get_buffer("num_batches_tracked").fill_(7)
    follow(average, network, 0.9)
    assert float(average.weight.detach()) == pytest.approx(0.9 * 1 + 0.1 * 3)
    assert float(average.get_buffer("running_mean")) == pytest.approx(1.0)
    assert int(average.get_buffer("num_batches_tracked")) == 7
    shares = [averaged_share(0.9, done) for done in range(200)]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.1, 0.9)


def test_noise_is_as_wide_as_a_rounding_step() -> None:
    torch.manual_seed(1)
    noise = add_noise(torch.zeros(20_000))
    assert float(noise.abs().max()) <= 0.5
    assert float(noise.std()) == pytest.approx((1 / 12) ** 0.5, rel=0.02)
