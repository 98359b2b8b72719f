import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from narrows.contract.errors import WeightsMismatch
from narrows.models.export.folding import fold
from narrows.models.nn.decoder import JointDecoder
from narrows.models.nn.efficientnet_lite import EfficientNetLite0
from narrows.models.nn.encoder import Encoder, SpaceToDepth
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.nn.rate import RateModel, round_straight_through
from narrows.models.nn.reparametrised import Reparametrised


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def with_lived_statistics(network: torch.nn.Module) -> torch.nn.Module:
    """Running statistics as after training: folding fresh ones would prove nothing."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    return network.eval()


@pytest.mark.parametrize(
    ("network", "arguments"),
    [
        (lambda: Encoder(8), (torch.rand(1, 3, 72, 88),)),
        (lambda: JointDecoder(8, 5), (torch.randn(1, 8, 5, 6), (72, 88))),
        (lambda: Reparametrised(6, 6, 3, dilation=4, groups=6), (torch.randn(2, 6, 9, 11),)),
        (lambda: Reparametrised(6, 6, 3, groups=2, copies=3), (torch.randn(2, 6, 9, 11),)),
        (lambda: Reparametrised(6, 10), (torch.randn(2, 6, 9, 11),)),
    ],
)
def test_folding_changes_nothing(network: Callable[[], torch.nn.Module], arguments: tuple[object, ...]) -> None:
    trained = with_lived_statistics(network())
    folded = fold(torch.nn.Sequential(trained))[0]
    assert not any(isinstance(m, torch.nn.BatchNorm2d | Reparametrised) for m in folded.modules())
    with torch.no_grad():
        assert torch.allclose(trained(*arguments), folded(*arguments), atol=1e-4)


def test_the_latent_is_a_sixteenth_rounded_up() -> None:
    with torch.no_grad():
        assert Encoder(12).eval()(torch.zeros(1, 3, 360, 480)).shape == (1, 12, 23, 30)


def test_space_to_depth_keeps_every_value_and_pads_with_zeros() -> None:
    x = torch.rand(1, 2, 5, 7)
    y = SpaceToDepth(4)(x)
    assert y.shape == (1, 32, 2, 2)
    assert y.sum() == pytest.approx(float(x.sum()), rel=1e-5)


def test_the_rate_model_is_a_probability_law() -> None:
    model = RateModel(levels=2, channels=3)
    symbols = torch.arange(-60.0, 61.0)
    plane = torch.zeros(len(symbols), 3, 1, 1)
    plane[:, 1, 0, 0] = symbols
    with torch.no_grad():
        bits = model(plane, torch.zeros(len(symbols), dtype=torch.long))[:, 1, 0, 0]
    probabilities = torch.exp2(-bits)
    assert 0.99 < float(probabilities[bits < 19].sum()) < 1.01


def test_busy_neighbours_make_a_large_symbol_cheaper() -> None:
    model = RateModel(levels=1, channels=1)
    quiet, busy = torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 4.0)
    quiet[..., 1, 1] = 4.0
    level = torch.zeros(1, dtype=torch.long)
    with torch.no_grad():
        assert model(busy, level)[..., 1, 1] < model(quiet, level)[..., 1, 1]


def test_rounding_passes_gradients_straight_through() -> None:
    x = torch.tensor([0.4, 1.6], requires_grad=True)
    y = round_straight_through(x)
    y.sum().backward()  # type: ignore[no-untyped-call]
    assert y.tolist() == [0.0, 2.0]
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 1.0]


def test_every_level_of_a_batch_gets_its_own_gain() -> None:
    network = JointNetwork(NetworkShape(classes=4, latent_channels=6, levels=3)).eval()
    picture = torch.rand(1, 3, 48, 48)
    with torch.no_grad():
        together = network(picture.repeat(3, 1, 1, 1), torch.arange(3)).logits
        alone = [network(picture, torch.tensor([level])).logits[0] for level in range(3)]
    for joined, single in zip(together, alone, strict=True):
        assert torch.allclose(joined, single, atol=1e-4)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, path)  # noqa: TID251
    with pytest.raises(WeightsMismatch, match="other shapes"):
        EfficientNetLite0().load_imagenet(path)


@pytest.mark.parametrize("document", ["README.md", "bundles/demo/MODEL_CARD.md"])
def test_the_decoder_is_as_small_as_the_documents_say(document: str) -> None:
    text = " ".join((Path(__file__).parents[3] / document).read_text().split())
    claimed = re.search(r"([0-9.]+) (?:million|M) parameters", text)
    assert claimed is not None
    parameters = sum(p.numel() for p in fold(JointDecoder(latent_channels=48, classes=11)).parameters())
    assert f"{parameters / 1e6:.2f}" == claimed[1]
