"""Weak cameras: what they send, what the cloud begins with, and that they keep within their budgets."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from narrows.contract.errors import ConfigError
from narrows.contract.outputs.labels.scaling import divide_labels
from narrows.models.export.fit_to_budget import camera_shape, cloud_shape, convolution_macs
from narrows.models.export.resources import write_and_count
from narrows.models.nn.cloud_decoder import CloudDecoder, CloudShape
from narrows.models.nn.reparametrised import Reparametrised
from narrows.models.nn.weak import WeakShape, WeakTrunk, dominant_labels, grid_at4, one_hot_labels
from narrows.models.nn.weak_designs import Camera, Design, WeakNetwork

CLASSES, LEVELS, SIZE = 5, 3, (70, 90)
SMALL, CLOUD = WeakShape(widths=(8, 8, 12), head=8, latent_channels=6), CloudShape(16, 1, 16, 16)


def network(design: Design, shape: WeakShape = SMALL) -> WeakNetwork:
    torch.manual_seed(1)
    return WeakNetwork(design, shape, CLOUD, CLASSES, LEVELS)


def pictures(count: int = 2) -> Tensor:
    return torch.randn(count, 3, *SIZE, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("design", Design)
@pytest.mark.parametrize("stride", [16, 32])
def test_every_design_makes_a_mask_of_the_pictures_size(design: Design, stride: int) -> None:
    shape = WeakShape(widths=(8, 8, 12), head=8, latent_channels=6, latent_stride=stride)
    outcome = network(design, shape)(pictures(), torch.tensor([0, 2]))
    assert outcome.logits.shape == (2, CLASSES, *SIZE)
    assert (outcome.camera_logits is not None) == (design in {Design.LAYERED, Design.REFINED})
    assert bool((outcome.bits > 0).all()) == design.sends_symbols


@pytest.mark.parametrize("design", [Design.LAYERED, Design.REFINED])
def test_with_a_mask_the_cloud_begins_as_the_camera_ended(design: Design) -> None:
    whole = network(design).eval()
    base, latent, _ = whole.camera.look(pictures())
    assert base is not None
    assert whole.cloud is not None
    logits = whole.cloud(latent, one_hot_labels(base), grid_at4(SIZE))
    assert whole.cloud.vote is not None
    assert torch.equal(logits, whole.cloud.vote * one_hot_labels(base))
    assert torch.equal(logits.argmax(1), base.argmax(1))


def test_the_law_of_the_symbols_is_that_of_the_label_that_was_sent() -> None:
    whole = network(Design.LAYERED).eval()
    level = torch.tensor([1, 1])
    base, _, _ = whole.camera.look(pictures())
    assert base is not None
    sent = whole.labels_of_symbols(one_hot_labels(base))
    label = int(sent[0, :, 0, 0].argmax())
    before = whole(pictures(), level, rounded_rate=True).bits
    rate = whole.rate
    with torch.no_grad():
        rate.by_label[1, (label + 1) % CLASSES] += 5.0  # type: ignore[union-attr,index,operator]
        others = whole(pictures(), level, rounded_rate=True).bits
        rate.by_label[0] += 5.0  # type: ignore[union-attr,index,operator]
        another_level = whole(pictures(), level, rounded_rate=True).bits
        rate.by_label[1, label] += 5.0  # type: ignore[union-attr,index,operator]
        its_own = whole(pictures(), level, rounded_rate=True).bits
    has_others = sent[:, (label + 1) % CLASSES].sum(dim=(1, 2)) > 0
    assert torch.equal(others != before, has_others)
    assert torch.equal(another_level, others)
    assert its_own[0] != others[0]


def test_bits_teach_the_bottleneck_and_never_the_head() -> None:
    whole = network(Design.LAYERED)
    whole(pictures(), torch.tensor([0, 1])).bits.sum().backward()
    assert all(each.grad is None for each in whole.camera.head.parameters())  # type: ignore[union-attr]
    assert any(bool(each.grad.abs().sum() > 0) for each in whole.camera.bottleneck.parameters())  # type: ignore[union-attr]


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_labels_of_blocks_are_those_that_the_contract_makes(factor: int) -> None:
    labels = np.random.default_rng(factor).integers(CLASSES, size=(18, 23), dtype=np.uint8)
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(labels).long(), CLASSES).permute(2, 0, 1)[None].float()
    found = dominant_labels(one_hot, factor)[0].argmax(0).to(torch.uint8).numpy()
    assert np.array_equal(found, divide_labels(labels, factor, CLASSES))


@pytest.mark.parametrize("kernel", [4, 8])
def test_the_grids_round_up_whatever_the_stem(kernel: int) -> None:
    at8, at16 = WeakTrunk(WeakShape(stem_kernel=kernel))(torch.randn(2, 3, 90, 122))
    assert at8.shape == (2, 64, 12, 16)
    assert at16.shape == (2, 96, 6, 8)


def test_a_camera_of_a_fifth_of_a_gmac_fits_a_megabyte_of_activations(tmp_path: Path) -> None:
    shape = camera_shape(Design.EDGE, 0.2e9, (360, 480), 11)
    found = write_and_count(Camera(Design.EDGE, shape, 11), [torch.zeros(1, 3, 360, 480)], tmp_path / "camera.onnx")
    assert 0.17e9 < found.macs <= 0.2e9
    assert found.parameters < 200_000
    assert found.peak_bytes < 1_000_000


@pytest.mark.parametrize("budget_gmac", [0.05, 0.4])
def test_a_head_costs_width_and_a_bottleneck_less(budget_gmac: float) -> None:
    picture = [torch.zeros(1, 3, 180, 240)]
    for design in Design:
        shape = camera_shape(design, budget_gmac * 0.25e9, (180, 240), 11)
        share = convolution_macs(Camera(design, shape, 11), picture) / (budget_gmac * 0.25e9)
        assert 0.75 < share < 0.97, "what is no convolution has its place in the budget"
    edge, features = (camera_shape(d, budget_gmac * 0.25e9, (180, 240), 11) for d in (Design.EDGE, Design.FEATURES))
    assert features.widths >= edge.widths


def test_a_cloud_decoder_is_counted_as_it_is_shipped() -> None:
    assert convolution_macs(nn.Sequential(Reparametrised(4, 6, 3)), [torch.zeros(1, 4, 5, 7)]) == 4 * 6 * 9 * 5 * 7
    shape = cloud_shape(0.2e9, (360, 480), 11, 48)
    inputs = [torch.zeros(1, 48, 23, 30), torch.zeros(1, 11, 90, 120), (90, 120)]
    assert 0.15e9 < convolution_macs(CloudDecoder(shape, 11, 48, labels=True), inputs) <= 0.2e9


def test_a_budget_below_the_narrowest_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing of this shape fits"):
        camera_shape(Design.EDGE, 1e5, (360, 480), 11)
    with pytest.raises(ConfigError, match=r"fits 0.05 GMAC at this picture size"):  # the least of --cloud-gmac
        cloud_shape(0.05e9, (360, 480), 11, 48)
