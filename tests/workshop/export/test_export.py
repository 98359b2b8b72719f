from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from edge_client.encode.encoder import OnnxEncoder
from narrows.contract.bundle import Bundle
from narrows.contract.codec import decode_symbols, encode_symbols, quantise, remember
from narrows.contract.errors import WeightsMismatch
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation.evaluate import evaluate_bundle
from narrows.models.export.graphs import DecoderGraph
from narrows.models.export.label_grid import whole_labels
from narrows.models.export.labelling import Labelling
from narrows.models.export.motion import moving
from narrows.models.export.recount import recount
from narrows.models.export.write import write_bundle
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.training.augment import normalise
from narrows.models.training.run import load_checkpoint
from narrows.models.training.warm_start import begin_from
from narrows.ops.camera_packets import camera
from narrows.runtime.onnx_runtime import InferenceSession
from tests.workshop.export.small_data import SIZE, made_up


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> FolderDataset:
    classes = {"classes": ["a", "b", "void"], "ignore_index": 2, "palette": [[0, 0, 0]] * 3}
    return made_up(tmp_path_factory.mktemp("data"), 3, classes)


@pytest.fixture(scope="module")
def network() -> JointNetwork:
    torch.manual_seed(3)
    network = JointNetwork(NetworkShape(classes=2, latent_channels=6, levels=3))
    with torch.no_grad():  # statistics of real activations, or every latent would round to nothing
        network.train()
        for _ in range(30):
            network.encoder(torch.rand(4, 3, 64, 96) * 2 - 1)
        network.encoder.bottleneck.weight *= 8
    return network.eval()


@pytest.fixture(scope="module")
def bundle(data: FolderDataset, network: JointNetwork, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    return write_bundle(network, data, Labelling("tiny", "1", "none", "random"), folder, lambda _: None)


def test_the_decoder_graph_answers_like_the_network_for_mixed_levels(bundle: Bundle, network: JointNetwork) -> None:
    symbols = np.random.default_rng(0).integers(-3, 4, (3, *bundle.manifest.latent.as_tuple()), dtype=np.int8)
    level = np.array([[0], [2], [1]], dtype=np.int32)
    labels = InferenceSession(bundle.decoder_path).run(None, {"symbols": symbols, "level": level})[0]
    with torch.no_grad():
        expected = DecoderGraph(network, SIZE[::-1])(torch.from_numpy(symbols), torch.from_numpy(level)).numpy()
    assert labels.shape == (3, 64, 96)
    assert labels.dtype == np.uint8
    assert (labels[:, ::2] == labels[:, 1::2]).all()  # rows go together in twos
    assert (labels != expected).mean() < 0.02
    exact = InferenceSession(whole_labels(onnx.load(bundle.decoder_path)).SerializeToString())
    labels = exact.run(None, {"symbols": symbols, "level": level})[0]
    assert (labels != expected).mean() < 1e-3  # ties of the argmax may fall either way


def test_the_float_encoder_answers_like_the_network(bundle: Bundle, network: JointNetwork, data: FolderDataset) -> None:
    picture = data.read("s0").picture
    latent = OnnxEncoder(bundle, path=bundle.float_encoder_path).latent(picture)
    pixels = torch.from_numpy(((picture.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None].copy())
    with torch.no_grad():
        expected = network.encoder(pixels)[0].numpy()
    assert np.allclose(latent, expected, atol=1e-3 * np.abs(expected).max())


def test_the_int8_encoder_is_a_quarter_of_the_float_one_and_close_to_it(bundle: Bundle, data: FolderDataset) -> None:
    picture = data.read("s1").picture
    exact = OnnxEncoder(bundle, path=bundle.float_encoder_path).latent(picture)
    rough = OnnxEncoder(bundle).latent(picture)
    assert bundle.encoder_path.stat().st_size < 0.4 * bundle.float_encoder_path.stat().st_size
    assert np.corrcoef(exact.ravel(), rough.ravel())[0, 1] > 0.95


def test_no_path_of_the_machine_that_exported_is_in_the_bundle(bundle: Bundle) -> None:
    root = str(Path(__file__).parents[3]).encode()
    for path in bundle.folder.iterdir():
        assert root not in path.read_bytes(), path.name


def test_symbols_of_every_level_survive_the_bundles_tables(bundle: Bundle, data: FolderDataset) -> None:
    latent = OnnxEncoder(bundle).latent(data.read("s2").picture)
    for level, gain in enumerate(bundle.gains):
        symbols = bundle.tables.silence(quantise(latent, gain), level)
        payload = encode_symbols(symbols, bundle.tables, level)
        assert (decode_symbols(payload, symbols.shape, bundle.tables, level) == symbols).all()


def test_predicted_frames_of_every_level_survive_the_bundles_tables(bundle: Bundle, data: FolderDataset) -> None:
    assert bundle.tables.predicted
    encoder = OnnxEncoder(bundle)
    (clip,) = moving([data.read("s3").picture], seed=5)
    latents = [encoder.latent(view) for view in clip]
    for level, gain in enumerate(bundle.gains):
        memory = None
        for latent in latents:
            symbols = bundle.tables.silence(quantise(latent, gain), level)
            payload = encode_symbols(symbols, bundle.tables, level, memory)
            assert (decode_symbols(payload, symbols.shape, bundle.tables, level, memory) == symbols).all()
            memory = remember(symbols, memory)


def test_a_recounted_bundle_has_the_tables_that_the_export_counted(
    bundle: Bundle, data: FolderDataset, tmp_path: Path
) -> None:
    again = recount(bundle, data, tmp_path / "again", lambda _: None)
    assert again.tables.to_bytes() == bundle.tables.to_bytes()
    assert again.encoder_path.read_bytes() == bundle.encoder_path.read_bytes()
    assert again.id == bundle.id


def test_an_exported_bundle_can_be_evaluated_through_the_real_coder(bundle: Bundle, data: FolderDataset) -> None:
    result = evaluate_bundle(bundle, data, 0, encode=camera(bundle, 0, bundle.encoder_path))
    assert result.frames == 6
    assert 0 < result.miou < 1
    assert result.bits_per_pixel > 0


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match="is missing"):
        load_checkpoint(tmp_path / "checkpoint.pt")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "checkpoint.pt")  # noqa: TID251
    with pytest.raises(WeightsMismatch, match="no checkpoint"):
        load_checkpoint(tmp_path / "checkpoint.pt")


def test_a_bundle_is_where_a_training_may_begin(bundle: Bundle, network: JointNetwork, data: FolderDataset) -> None:
    pictures = torch.from_numpy(np.stack([normalise(sample.picture) for sample in data]))
    begun = JointNetwork(network.shape)
    begin_from(begun, bundle, pictures, bundle.manifest.classes)
    with torch.no_grad():
        before, after = network.encoder(pictures), begun.eval().encoder(pictures)
    assert float(torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1]) > 0.98
    assert torch.allclose(begun.gains.log_gain, network.gains.log_gain, atol=1e-5)


def test_a_training_begins_with_the_masks_of_the_bundle(
    bundle: Bundle, network: JointNetwork, data: FolderDataset
) -> None:
    pictures = torch.from_numpy(np.stack([normalise(sample.picture) for sample in data]))
    begun = JointNetwork(network.shape)
    begin_from(begun, bundle, pictures, bundle.manifest.classes)
    levels = torch.arange(len(pictures)) % 3
    with torch.no_grad():
        before, after = network(pictures, levels), begun.eval()(pictures, levels)
    assert float((before.logits.argmax(1) == after.logits.argmax(1)).float().mean()) > 0.97
    assert float(torch.corrcoef(torch.stack([before.logits.flatten(), after.logits.flatten()]))[0, 1]) > 0.98


def test_branches_that_add_nothing_yet_can_learn(bundle: Bundle, network: JointNetwork, data: FolderDataset) -> None:
    pictures = torch.from_numpy(np.stack([normalise(sample.picture) for sample in data]))
    begun = JointNetwork(network.shape)
    begin_from(begun, bundle, pictures, bundle.manifest.classes)
    begun.train()(pictures, torch.zeros(len(pictures), dtype=torch.int64)).logits.square().sum().backward()
    scale = begun.get_parameter("decoder.enter.0.wide.1.1.weight")
    assert not scale.any()
    assert scale.grad is not None
    assert scale.grad.any()


@pytest.mark.parametrize("classes", [("one", "two", "three", "four"), ("another", "order")])
def test_a_decoder_for_other_classes_begins_anew(classes: tuple[str, ...], bundle: Bundle, data: FolderDataset) -> None:
    pictures = torch.from_numpy(np.stack([normalise(sample.picture) for sample in data]))
    torch.manual_seed(5)
    begun = JointNetwork(NetworkShape(classes=len(classes), latent_channels=6, levels=3))
    fresh = begun.decoder.classify.weight.clone()
    begin_from(begun, bundle, pictures, classes)
    assert torch.equal(begun.decoder.classify.weight, fresh)


def test_a_begun_rate_model_knows_what_symbols_cost(bundle: Bundle, network: JointNetwork, data: FolderDataset) -> None:
    pictures = torch.from_numpy(np.stack([normalise(sample.picture) for sample in data]))
    begun = JointNetwork(network.shape)
    begin_from(begun, bundle, pictures, bundle.manifest.classes)
    levels = torch.arange(len(pictures)) % 3
    with torch.no_grad():
        fitted = begun(pictures, levels, rounded_rate=True).bits.sum()
        begun.rate = type(begun.rate)(3, 6)
        unfitted = begun(pictures, levels, rounded_rate=True).bits.sum()
    assert float(fitted) < 0.97 * float(unfitted)


def test_a_bundle_of_another_network_is_no_place_to_begin(bundle: Bundle) -> None:
    other = JointNetwork(NetworkShape(classes=2, latent_channels=7, levels=3))
    with pytest.raises(WeightsMismatch, match="bottleneck"):
        begin_from(other, bundle, torch.zeros(1, 3, 64, 96), bundle.manifest.classes)
