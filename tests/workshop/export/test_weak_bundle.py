"""A network for weak cameras as a bundle: it answers as the network does, and what cannot be one is named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from narrows.contract.errors import ConfigError
from narrows.models.evaluation.evaluate import evaluate_bundle
from narrows.models.export.labelling import Labelling
from narrows.models.export.weak import halves_of
from narrows.models.export.write import write_bundle
from narrows.models.nn.cloud_decoder import CloudShape
from narrows.models.nn.weak import WeakShape
from narrows.models.nn.weak_designs import Design, WeakNetwork
from narrows.models.training.augment import normalise
from narrows.ops.camera_packets import camera
from narrows.runtime.onnx_runtime import InferenceSession
from tests.workshop.export.small_data import made_up

CLASSES = 2
SHAPE = WeakShape(widths=(8, 12, 16), depths=(1, 0, 0), latent_channels=6, head=8)
CLOUD = CloudShape(width=8, blocks=1, at8=8, at4=8)


def network_of(design: Design) -> WeakNetwork:
    """Random, with statistics of real activations."""
    torch.manual_seed(5)
    network = WeakNetwork(design, SHAPE, CLOUD, CLASSES, levels=3)
    with torch.no_grad():
        for _ in range(20):
            network(torch.rand(4, 3, 64, 96) * 2 - 1, torch.zeros(4, dtype=torch.long))
    return network.eval()


def test_a_bundle_of_a_weak_network_answers_as_the_network_does(tmp_path: Path) -> None:
    network = network_of(Design.FEATURES)
    classes = {"classes": ["a", "b", "void"], "ignore_index": 2, "palette": [[0, 0, 0]] * 3}
    data = made_up(tmp_path / "data", 3, classes)
    with torch.no_grad():  # symbols of several sizes, or all would be zeros
        assert network.camera.bottleneck is not None
        network.camera.bottleneck.narrow.weight *= 8
    label = Labelling("weak", "1", "none", "random")
    bundle = write_bundle(halves_of(network), data, label, tmp_path / "bundle", lambda _: None)
    level = 1
    assert evaluate_bundle(bundle, data, level, encode=camera(bundle, level, bundle.encoder_path)).frames == len(data)
    picture = next(iter(data)).picture
    latent = InferenceSession(bundle.float_encoder_path).run(None, {"picture": picture[None]})[0]
    with torch.no_grad():
        expected = network.camera(torch.from_numpy(normalise(picture))[None])[0].numpy()
    assert np.allclose(latent, expected, atol=1e-4)
    gain = np.array(bundle.manifest.levels[level].gain, dtype=np.float32)[:, None, None]
    symbols = np.rint(latent * gain).astype(np.int8)
    assert len(np.unique(symbols)) > 2
    feed = {"symbols": symbols, "level": np.array([[level]], dtype=np.int32)}
    labels = InferenceSession(bundle.decoder_path).run(None, feed)[0][0]
    with torch.no_grad():
        assert network.cloud is not None
        coarse = network.cloud(torch.from_numpy(symbols / gain), None, (16, 24))
        logits = functional.interpolate(coarse, size=(64, 96), mode="bilinear", align_corners=False)
    agreement = (logits.argmax(dim=1).numpy()[0] == labels).mean()
    assert agreement > 0.97  # two rows share their classes in the exported decoder


@pytest.mark.parametrize("design", [Design.EDGE, Design.REFINED, Design.LAYERED])
def test_designs_that_send_labels_are_no_bundles(design: Design) -> None:
    with pytest.raises(ConfigError, match=f"design {design.value} is no bundle"):
        halves_of(network_of(design))
