"""The bundles that ship: each opens verified, keeps to its size, and reads a street out of what its camera sent."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from narrows.contract.bundle import Bundle
from narrows.contract.bundle.manifest import ENCODER_FLOAT
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation.evaluate import evaluate_bundle
from narrows.ops.camera_packets import camera
from tests.docs.blocks import ROOT


@dataclass(frozen=True)
class Ships:
    """What a bundle promises: bytes of its folder and of the encoder, and mIoU that the samples must reach.

    Weak ones were trained on the samples: that they read them shows that the files fit each other, no more.
    """

    name: str
    most_bytes: int
    most_encoder_bytes: int
    least_miou: float


SHIPS = (
    Ships("demo", 8_000_000, 4_000_000, 0.6),
    Ships("weak", 3_000_000, 1_000_000, 0.5),
    Ships("mcu", 3_000_000, 250_000, 0.5),
)


@pytest.mark.parametrize("promise", SHIPS, ids=lambda promise: promise.name)
def test_a_bundle_keeps_to_its_size_and_reads_the_samples(promise: Ships) -> None:
    folder = ROOT / "bundles" / promise.name
    bundle = Bundle.open(folder)
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ENCODER_FLOAT]
    assert sum(path.stat().st_size for path in files) <= promise.most_bytes
    assert bundle.encoder_path.stat().st_size <= promise.most_encoder_bytes
    assert (folder / "MODEL_CARD.md").is_file()
    samples = FolderDataset.open(ROOT / "samples", "val")
    found = evaluate_bundle(bundle, samples, 0, encode=camera(bundle, 0, bundle.encoder_path))
    assert found.miou >= promise.least_miou
