"""``narrows evaluate`` of a split network: agreement with itself unrounded, and top-1 by the folders' names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from PIL import Image

from edge_client.encode.split import SplitCoder, SplitHead
from edge_client.encode.writing import written_alone
from narrows.cli.evaluate import evaluate
from narrows.contract.bundle import SplitBundle
from narrows.contract.errors import BundleError, DatasetError, DigestMismatch
from narrows.contract.wire import FrameIdentity
from narrows.models.split.evaluation import SplitDecoder, pictures_below, wilson
from narrows.ops.camera_packets import split_camera
from tests import split_bundles


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SplitBundle:
    return split_bundles.write(tmp_path_factory.mktemp("bundle"))


def brightest(picture: split_bundles.Picture) -> str:
    return ("red", "green", "blue")[int(split_bundles.early(picture).mean(axis=(1, 2)).argmax())]


def test_outputs_are_what_the_tail_makes_of_what_was_rounded(bundle: SplitBundle) -> None:
    picture = split_bundles.picture(3)
    decoder, (_, encode) = SplitDecoder(bundle, 1), split_camera(bundle, 1, 0)
    scores, heat = decoder.outputs(decoder.tensors(encode(picture)))
    quantisers = [plan.quantiser for plan in bundle.plans[1][0]]
    crossed = split_bundles.early(picture)
    np.testing.assert_array_equal(heat[0], quantisers[0].values(quantisers[0].symbols(crossed)))
    mean = crossed.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(scores[0], quantisers[1].values(quantisers[1].symbols(mean)).reshape(-1), rtol=1e-6)


def test_a_section_of_other_symbols_is_refused(bundle: SplitBundle) -> None:
    head, coder = SplitHead(bundle), SplitCoder(bundle)
    frame = coder.packet(head.latent(split_bundles.picture(3)), 0, FrameIdentity(1, 0), 0)
    (section,) = frame.sections
    data = written_alone(replace(frame, sections=(structs.replace(section, digest=section.digest ^ 1),)))
    with pytest.raises(DigestMismatch, match="tensor early"):
        SplitDecoder(bundle, 0).tensors(data)


def test_the_command_counts_agreement_and_top_1(bundle: SplitBundle, tmp_path: Path) -> None:
    rights = []
    for seed in range(8):
        picture = split_bundles.picture(seed)
        named = "red" if seed % 2 else brightest(picture)
        rights.append(named == brightest(picture))
        (tmp_path / named).mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / named / f"{seed}.png")
    out = tmp_path / "out.json"
    evaluate(data=tmp_path, bundle=bundle.folder, rate=0, json=out)
    found = json.loads(out.read_text())
    assert (found["frames"], found["cut"], found["level"], found["precision_bits"]) == (8, 0, 0, 8)
    assert found["top_1_unrounded"] == round(sum(rights) / 8, 5)
    assert found["agreement"] == 1.0
    assert found["agreement_interval"] == list(wilson(1.0, 8))
    assert found["packet_bytes"] > 100


def test_an_interval_is_wilsons() -> None:
    assert wilson(1.0, 500) == (0.99238, 1.0)
    assert wilson(0.5, 100) == (0.40383, 0.59617)


def test_what_cannot_be_judged_is_refused_by_name(bundle: SplitBundle, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no pictures"):
        pictures_below(tmp_path)
    with pytest.raises(BundleError, match="no tail of cut 5"):
        SplitDecoder(bundle, 5)
    with pytest.raises(BundleError, match="cuts 0 to 1, levels 0 to 1"):
        evaluate(data=tmp_path, bundle=bundle.folder, cut=2)
    demo = Path(__file__).parents[3] / "bundles" / "demo"
    with pytest.raises(BundleError, match="the bottleneck alone"):
        evaluate(data=tmp_path, bundle=demo, cut=1)
