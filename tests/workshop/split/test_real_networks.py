"""Real, unmodified networks from a file to a subscriber: profiled, cut, exported, run at a camera and in a real Triton.

The detector is small, and runs wherever its file is; `make test-networks` fetches and runs the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from typer.testing import CliRunner

import narrows
from narrows.cli.evaluate import Via, evaluate
from narrows.cli.split import split
from narrows.client.registry import StreamRegistry
from narrows.contract.bundle import SplitBundle, models_of
from narrows.contract.wire import Install, MaskPacket, Policy, ResultPacket, StreamSettings
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.models.dataset import FolderDataset
from narrows.models.split.cuts import Cut, find_cuts
from narrows.models.split.evaluation import SplitDecoder
from narrows.models.split.network import Network
from narrows.ops.camera_packets import split_camera
from narrows.runtime.pictures import read_picture
from narrows.runtime.triton_config import model_name
from orchestrator.servers import LocalRedis, LocalTriton
from tests.integration.scaling.scale_rig import narrows as run
from tests.integration.scaling.scale_rig import program
from tests.workshop.split.networks import REAL, ROOT

PICTURES = 3
SAMPLES = sorted((ROOT / "samples" / "images" / "val").iterdir())[::8][:PICTURES]
STREET = FolderDataset.open(ROOT / "samples", "val").classes.names
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Case:
    """How a network takes pictures, and what kind its first output is of."""

    kind: str
    words: tuple[str, ...]
    several_cross: bool = False
    by_name: bool = False
    whole: bool = False


CASES = {
    "classifier": Case("scores", ("--mean", "127,127,127", "--deviation", "128,128,128")),
    "detector": Case("heatmaps", ("--bgr",), several_cross=True),
    "detector, whole": Case("heatmaps", ("--bgr", "--whole"), whole=True),
    "text": Case("heatmaps", ("--mean", "127.5,127.5,127.5", "--deviation", "127.5,127.5,127.5", "--bgr")),
    "saliency": Case("heatmaps", ("--mean", "123.7,116.3,103.5", "--deviation", "58.4,57.1,57.4"), several_cross=True),
    "street": Case("labels", (), several_cross=True, by_name=True),
}
SLOW = [pytest.param(name, marks=pytest.mark.slow_networks) for name in CASES if name != "detector"]


def cheapest(network: Network, case: Case) -> Cut:
    """Of fewest bytes with work on both sides; of several tensors, where that is asked for."""
    usable = [
        cut
        for cut in find_cuts(network)
        if cut.head_macs and cut.tail_macs and (len(cut.tensors) > 1) >= case.several_cross
    ]
    return min(usable, key=lambda cut: cut.bytes_at(8))


def exported(name: str, folder: Path) -> SplitBundle:
    """By the commands, as a user would."""
    case, real = CASES[name], REAL[name.partition(",")[0]]
    network = real.opened()
    names = ("whole_picture",) if case.whole else cheapest(network, case).names
    words = [*case.words, *([] if case.whole else ["--cut", ",".join(names)])]
    if case.by_name:
        (folder / "classes.txt").write_text("\n".join(STREET))
        words += ["--classes", str(folder / "classes.txt")]
    if (shape := real.input_shape) is not None:
        words += ["--input-shape", "x".join(map(str, shape))]
    for place, path in enumerate(SAMPLES):
        (folder / "pictures").mkdir(exist_ok=True)
        (folder / "pictures" / f"{place}{path.suffix}").write_bytes(path.read_bytes())
    words += ["--pictures", str(folder / "pictures"), "--bits", "8,6"]
    words += ["--out", str(folder / "bundle"), "--model-repository", str(folder / "models")]
    result = CliRunner().invoke(split, ["export", str(real.path), *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    bundle = SplitBundle.open(folder / "bundle")
    assert bundle.manifest.network_sha256 == network.digest
    assert [tensor.name for tensor in bundle.manifest.cuts[0].tensors] == list(names)
    return bundle


@contextmanager
def served(bundle: SplitBundle, folder: Path) -> Iterator[str]:
    """The address of a Redis behind which `narrows orchestrate` and a real Triton work."""
    with ExitStack() as held:
        server = held.enter_context(LocalRedis.start(folder / "redis"))
        with redis.Redis.from_url(server.url) as client:
            client.set(INSTALL_KEY, Install(4).to_json())
            StreamRegistry(client, Install(4)).set("cam", StreamSettings(policy=Policy.COMPLETE), who="a test")
        models = [model_name(each.id) for each in models_of(bundle)]
        triton = held.enter_context(LocalTriton.start(folder / "models", folder / "run", models))
        words = ["--bundle", str(bundle.folder), "--redis-url", server.url, "--triton", triton.grpc_address]
        held.enter_context(program(folder / "log", "orchestrate", *words, "--http", "127.0.0.1:0"))
        yield server.url


def expected(bundle: SplitBundle, folder: Path) -> list[Any]:
    """Every output of every picture, by the bundle's head, coder and tail in this process."""
    decoder, (_, encode) = SplitDecoder(bundle, 0), split_camera(bundle, 0, 0)
    return [decoder.outputs(decoder.tensors(encode(read_picture(path)))) for path in sorted(folder.iterdir())]


def check(kind: str, lines: list[dict[str, Any]], outcomes: list[Any], wanted: list[Any]) -> None:
    """The lines of `masks tail` and what a subscriber gets are what the tail makes of what was sent."""
    assert [line["sequence"] for line in lines] == list(range(PICTURES))
    for line, outcome, values in zip(lines, outcomes, wanted, strict=True):
        assert line["kind"] == ("mask" if kind == "labels" else "result")
        assert isinstance(outcome, MaskPacket if kind == "labels" else ResultPacket)
        assert [told["kind"] for told in line["outputs"]] == [kind] * len(values)
        for output, value in zip(outcome.outputs, values, strict=True):
            assert output.output.kind == kind
            np.testing.assert_allclose(output.values, value[0], rtol=1e-3, atol=1e-4 * max(1.0, np.abs(value).max()))
    if kind == "scores":
        assert lines[0]["outputs"][0]["best"] == str(wanted[0][0].argmax())


@pytest.mark.parametrize("name", ["detector", *SLOW])
def test_a_real_network_goes_from_its_file_to_a_subscriber(name: str, tmp_path: Path) -> None:
    bundle = exported(name, tmp_path)
    assert (len(bundle.manifest.cuts[0].tensors) > 1) >= CASES[name].several_cross
    wanted = expected(bundle, tmp_path / "pictures")
    with served(bundle, tmp_path) as url:
        words = ["--bundle", str(bundle.folder), "--redis-url", url]
        camera = ["--source", str(tmp_path / "pictures"), "--stream-id", "cam", "--frames", str(PICTURES)]
        sent = run("edge", *camera, *words, "--fps", "100", "--level", "0", "--state-dir", str(tmp_path / "state"))
        assert sent.returncode == 0, sent.stderr
        told = run("masks", "tail", "cam", "--from", "0", "--count", str(PICTURES), "--timeout", "60", *words)
        lines = [json.loads(line) for line in told.stdout.splitlines()]
        with narrows.subscribe("cam", redis_url=url, from_id="0", timeout_s=60) as outcomes:
            check(CASES[name].kind, lines, [next(outcomes) for _ in range(PICTURES)], wanted)
        data = ROOT / "samples" if CASES[name].kind == "labels" else tmp_path / "pictures"
        evaluate(data=data, bundle=bundle.folder, rate=0, via=Via.TRITON, redis_url=url, json=tmp_path / "judged.json")
    judged = json.loads((tmp_path / "judged.json").read_text())
    assert judged["via"] == "triton"
    assert judged.get("miou", judged.get("agreement")) > 0.5
