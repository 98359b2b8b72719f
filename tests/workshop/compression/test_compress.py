"""A bundle made smaller is a bundle: pruned without a seam, trained as int8, coded bit by bit, served."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from onnx import TensorProto
from torch import nn
from typer.testing import CliRunner

from narrows.cli.root import app
from narrows.contract.bundle import Bundle
from narrows.contract.codec import decode_symbols, encode_symbols, quantise
from narrows.contract.errors import ConfigError, PrecisionRefused
from narrows.models.compression.compress import COMPRESSION, Compression, compress
from narrows.models.compression.pruning import (
    LEAST_HIDDEN,
    LEAST_LATENT,
    Kept,
    choose,
    expanding_blocks,
    pruned,
)
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation.evaluate import evaluate_bundle
from narrows.models.export.fit_to_budget import convolution_macs
from narrows.models.export.four_bit import check_four_bit_convolutions, executed_operators, four_bit_convolution
from narrows.models.export.labelling import Labelling
from narrows.models.export.write import write_bundle
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.training.quantisation import (
    forward_rounded,
    round_activations,
    rounded_activation,
    rounded_weight,
    rounded_weights,
)
from narrows.models.training.run import CHECKPOINT, load_checkpoint
from narrows.ops.camera_packets import camera
from tests.workshop.export.small_data import SIZE, made_up

CLASSES = {"classes": ["a", "b", "void"], "ignore_index": 2, "palette": [[0, 0, 0]] * 3}


@pytest.fixture(scope="module")
def network() -> JointNetwork:
    torch.manual_seed(3)
    network = JointNetwork(NetworkShape(classes=2, latent_channels=6, levels=2))
    with torch.no_grad():  # statistics of real activations, or every latent would round to nothing
        network.train()
        for _ in range(10):
            network(torch.rand(2, 3, 64, 96) * 2 - 1, torch.tensor([0, 1]))
        network.encoder.bottleneck.weight *= 8
        network.gains.log_gain.add_(0.3 * torch.randn_like(network.gains.log_gain))  # each channel has its own
    return network.eval()


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1)) * 2 - 1


@torch.no_grad()
def test_a_pruned_network_answers_as_if_what_went_had_been_silent(
    network: JointNetwork, pictures: torch.Tensor
) -> None:
    kept = Kept(choose(network, pictures, 0.4).hidden, torch.tensor([0, 2, 3, 5]), gone=0.4)
    smaller = pruned(network, kept)
    silent = JointNetwork(network.shape).eval()
    silent.load_state_dict(network.state_dict())
    for block, stay in zip(expanding_blocks(silent), kept.hidden, strict=True):
        project = cast("nn.Conv2d", block.body[6])
        gone = torch.ones(project.in_channels, dtype=torch.bool)
        gone[stay] = False
        project.weight[:, gone] = 0
    whole = silent.encoder(pictures)[:, kept.latent]
    assert torch.allclose(smaller.encoder(pictures), whole, rtol=1e-3, atol=1e-4 * float(whole.abs().max()))
    latent = torch.zeros_like(silent.encoder(pictures))
    latent[:, kept.latent] = whole
    size = (64, 96)
    assert torch.allclose(smaller.decoder(whole, size), silent.decoder(latent, size), rtol=1e-3, atol=1e-3)
    assert torch.equal(smaller.gains.log_gain, network.gains.log_gain[:, kept.latent])


def test_the_cost_that_goes_is_the_one_that_was_weighed(network: JointNetwork, pictures: torch.Tensor) -> None:
    every = sum(len(each) for each in choose(network, pictures, 0.0).hidden)
    work, bits = choose(network, pictures, 0.4, bits_weight=0.0), choose(network, pictures, 0.3, bits_weight=1.0)
    assert len(work.latent) == 6, "symbols cost nothing then"
    assert sum(len(each) for each in bits.hidden) == every, "work costs nothing then"
    assert LEAST_LATENT <= len(bits.latent) < 6
    before = convolution_macs(network.encoder, [pictures[:1]])
    after = convolution_macs(pruned(network, work).encoder, [pictures[:1]])
    inputs: list[tuple[torch.nn.Module, torch.Tensor]] = []
    hooks = [
        block.register_forward_pre_hook(lambda module, given: inputs.append((module, given[0])))
        for block in expanding_blocks(network)
    ]
    network.encoder(pictures[:1])
    for hook in hooks:
        hook.remove()
    expanding = sum(convolution_macs(block, [given]) for block, given in inputs)
    assert 0.4 <= (before - after) / expanding < 0.42, "as many channels go as make the share, and hardly more"
    assert work.gone == pytest.approx((before - after) / expanding)
    most = choose(network, pictures, 0.999, bits_weight=0.5)
    assert 0.5 < most.gone < 0.998, "no more can go, and it says so"
    assert min(len(each) for each in most.hidden) == LEAST_HIDDEN
    assert len(most.latent) == LEAST_LATENT
    with pytest.raises(ValueError, match="both are shares"):
        choose(network, pictures, 1.0)


def test_a_weight_is_rounded_by_output_channel_and_learns_straight_through() -> None:
    weight = torch.tensor([[[[1.0]], [[-0.334]]], [[[100.0]], [[33.3]]]], requires_grad=True)
    rounded = rounded_weight(weight)
    steps = rounded.detach() / (weight.detach().abs().amax(dim=(1, 2, 3), keepdim=True) / 127)
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert float((rounded - weight).detach().abs().amax(dim=(1, 2, 3))[0]) < 1 / 127
    rounded.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(weight.grad, torch.ones_like(weight))  # type: ignore[arg-type]


def test_an_activation_has_256_steps_of_its_range_and_zero_is_one_of_them() -> None:
    values = torch.linspace(-1, 6, 5001)
    rounded = rounded_activation(values)
    assert len(set(rounded.tolist())) == 256
    assert float(rounded.abs().min()) == 0
    assert float((rounded - values).abs().max()) <= 0.51 * 7 / 255


@torch.no_grad()
def test_what_training_rounds_is_near_the_float_network_and_is_not_it(
    network: JointNetwork, pictures: torch.Tensor
) -> None:
    level = torch.tensor([0, 0])
    exact = network(pictures, level).features
    names = set(rounded_weights(network))
    assert "encoder.trunk.stem.0.weight" in names
    assert "encoder.bottleneck.weight" not in names
    again = JointNetwork(network.shape).eval()
    again.load_state_dict(network.state_dict())
    weights_alone = forward_rounded(again, pictures, level, rounded_rate=True).features
    round_activations(again)
    both = forward_rounded(again, pictures, level, rounded_rate=True).features
    errors = [float((each - exact).norm() / exact.norm()) for each in (weights_alone, both)]
    assert 0 < errors[0] < errors[1] < 0.3
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in again.state_dict().items())


def test_convolutions_of_four_bits_are_refused_by_name_where_they_run_in_float(tmp_path: Path) -> None:
    eight = executed_operators(four_bit_convolution(TensorProto.INT8), tmp_path / "eight.onnx")
    assert "QLinearConv" in eight, "the probe is of the form that the runtime fuses"
    with pytest.raises(PrecisionRefused, match="4-bit weights"):
        check_four_bit_convolutions()
    given = ["compress", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--weight-bits", "8/4"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code != 0
    assert not (tmp_path / "out").exists()


def test_a_compressed_bundle_codes_bit_by_bit_and_is_evaluated(network: JointNetwork, tmp_path: Path) -> None:
    data = made_up(tmp_path / "data", 3, CLASSES)
    big = write_bundle(network, data, Labelling("big", "1", "none", "random"), tmp_path / "big", lambda _: None)
    how = Compression(prune=0.3, bits_weight=0.5, quantisation_aware=True, distil=True, epochs=1, batch=3)
    assert how.name == "prune 0.3 + distil + QAT"
    small = compress(big, data, how, tmp_path / "run", tmp_path / "small", lambda _: None)
    assert small.id != big.id
    assert small.encoder_path.stat().st_size < 0.9 * big.encoder_path.stat().st_size
    shape = load_checkpoint(tmp_path / "run/checkpoint.pt").shape
    assert shape.expanded is not None
    assert small.manifest.latent.channels == shape.latent_channels
    _codes_every_level(small, data)
    result = evaluate_bundle(small, data, 1, encode=camera(small, 1, small.encoder_path))
    assert 0 <= result.miou < 1
    assert result.bits_per_pixel > 0


def test_a_training_is_not_written_over_by_a_compression(network: JointNetwork, tmp_path: Path) -> None:
    data = made_up(tmp_path / "data", 3, CLASSES)
    big = write_bundle(network, data, Labelling("big", "1", "none", "random"), tmp_path / "big", lambda _: None)
    run = tmp_path / "run"
    compress(big, data, Compression(epochs=1, batch=2), run, tmp_path / "out", lambda _: None)
    kept = (run / CHECKPOINT).read_bytes()
    for told in ("was begun with epochs 1, now 0", "holds a training"):
        with pytest.raises(ConfigError, match=told):
            compress(big, data, Compression(), run, tmp_path / "out", lambda _: None)
        assert (run / CHECKPOINT).read_bytes() == kept
        (run / COMPRESSION).unlink(missing_ok=True)


def test_a_compression_goes_on_with_the_samples_that_it_was_begun_with(network: JointNetwork, tmp_path: Path) -> None:
    """Else what was left out at last would have been trained on."""
    data = made_up(tmp_path / "data", 3, CLASSES)
    big = write_bundle(network, data, Labelling("big", "1", "none", "random"), tmp_path / "big", lambda _: None)
    told = (Compression(), tmp_path / "run", tmp_path / "out", lambda _: None)
    compress(big, data, *told)
    with pytest.raises(ConfigError, match=r"was begun with samples '6, s0 to s5, .*', now '5, s0 to s4,"):
        compress(big, data.without("s5"), *told)


def _codes_every_level(bundle: Bundle, data: FolderDataset) -> None:
    chance = np.random.default_rng(0)
    for level, gain in enumerate(bundle.gains):
        latent = chance.normal(0, 2, bundle.manifest.latent.as_tuple()).astype(np.float32)
        symbols = bundle.tables.silence(quantise(latent, gain), level)
        payload = encode_symbols(symbols, bundle.tables, level)
        assert np.array_equal(decode_symbols(payload, symbols.shape, bundle.tables, level), symbols)
    assert bundle.manifest.input.width == SIZE[0] == data.classes.size[0]
