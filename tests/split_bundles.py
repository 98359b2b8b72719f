"""A small bundle of a split network, made here: two cuts, two levels, scores and heat maps.

::

    picture 48 x 32 ─ pool 4 x 4 ─► early (3, 8, 12) ─┬─ mean ─► scores (3,)
                                                     └────────► heat (3, 8, 12)

Cut 0 sends the pooled picture, and its tail takes batches; cut 1 sends it and its mean, and its tail does not.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.bundle import FileEntry, SplitBundle, SplitManifest
from narrows.contract.bundle.split_manifest import CutLevel, CutTensor, PictureInput, SplitCut
from narrows.contract.bundle.split_plan import TensorPlan, pack_plan
from narrows.contract.codec.tensor_coder import fit_coder
from narrows.contract.outputs import Output
from narrows.models.split.quantiser import by_range
from tests.onnx_bytes import FLOAT, UINT8, Value, model, node

HEIGHT, WIDTH, SIDE = 32, 48, 4
BITS = (8, 4)
EARLY = (3, HEIGHT // SIDE, WIDTH // SIDE)
OUTPUTS = (
    Output("scores", "scores", "float32", (3,), "raw", ("red", "green", "blue")),
    Output("heat", "heatmaps", "float32", EARLY, "planes-deflate"),
)
Picture = NDArray[np.uint8]


def picture(seed: int) -> Picture:
    """Smooth, so that it compresses, and another for each seed."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    slopes = random.uniform(-2, 2, (2, 3))
    plane = 128 + rows[..., None] * slopes[0] + columns[..., None] * slopes[1] + random.normal(0, 3, (HEIGHT, WIDTH, 3))
    made: Picture = np.clip(plane, 0, 255).astype(np.uint8)
    return made


def early(of: Picture) -> NDArray[np.float32]:
    """What crosses at cut 0 in float, ``EARLY``."""
    pooled: NDArray[np.float32] = of.reshape(EARLY[1], SIDE, EARLY[2], SIDE, 3).max(axis=(1, 3)).astype(np.float32)
    return np.ascontiguousarray(pooled.transpose(2, 0, 1))


def write(folder: Path, *, name: str = "pools", work: int = 0, unlike: bool = False) -> SplitBundle:
    """The bundle, opened; another ``name`` is another one. ``work``, even: nodes that cost the tails time alone.

    ``unlike``: its manifest says that cut 1 crosses in a fifth of cut 0's bytes, takes twice its time at the camera and
    a hundred times its time in the cloud, and that level 1 of either loses half of the agreement.
    """
    folder.mkdir(parents=True, exist_ok=True)
    planes = [np.stack([early(picture(seed)) for seed in range(8)])]
    planes.append(planes[0].mean(axis=(2, 3), keepdims=True))
    for cut, tensors in enumerate(([planes[0]], planes)):
        (folder / f"plan{cut}.bin").write_bytes(pack_plan([[_plan(each, bits) for each in tensors] for bits in BITS]))
        (folder / f"head{cut}.onnx").write_bytes(_head(len(tensors)))
    (folder / "tail0.onnx").write_bytes(
        _tail(["GlobalAveragePool", "Flatten", *["Neg"] * work], "tensor_0", "batch", 1)
    )
    (folder / "tail1.onnx").write_bytes(_tail(["Flatten", *["Neg"] * work], "tensor_1", 1, 2))
    shapes = [CutTensor("early", EARLY, "float32"), CutTensor("mean", (3, 1, 1), "float32")]
    agreements = (1.0, 0.5 if unlike else 1.0)
    measured = ((60.0, 1.0, 0.5), (12.5, 2.0, 50.0)) if unlike else ((60.0, 1.0, 0.5),) * 2
    cuts = tuple(
        SplitCut(
            name=called,
            tensors=tuple(shapes[:count]),
            levels=tuple(CutLevel(bits, "range", size * bits, agreements[place]) for place, bits in enumerate(BITS)),
            head_ms=head_ms,
            tail_ms=tail_ms,
            head_macs=1000,
            tail_macs=500,
            head_memory_bytes=4096,
            head_energy_mj=3.0,
            batched=count == 1,
        )
        for (count, called), (size, head_ms, tail_ms) in zip(((1, "early"), (2, "early+mean")), measured, strict=True)
    )
    manifest = SplitManifest(
        name=name,
        version="1",
        network_sha256="ab" * 32,
        input=PictureInput(WIDTH, HEIGHT, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        cuts=cuts,
        default_level=0,
        outputs=OUTPUTS,
        licence="CC0",
        provenance="made by a test",
        files={path.name: _pinned(path) for path in sorted(folder.iterdir()) if path.name != "manifest.json"},
    )
    (folder / "manifest.json").write_bytes(manifest.to_json())
    return SplitBundle.open(folder)


def head_that_cannot_be_run() -> bytes:
    """Of cut 1, and of its form; at each picture it asks for the 32nd of a batch of one."""
    nodes = [
        node("Cast", ["picture"], "floats", to=FLOAT),
        node("Transpose", ["floats"], "planes", perm=[0, 3, 1, 2]),
        node("MaxPool", ["planes"], "pooled", kernel_shape=[SIDE, SIDE], strides=[SIDE, SIDE]),
        node("Shape", ["picture"], "sides"),
        node("Gather", ["pooled", "sides"], "beyond"),
        node("ReduceMax", ["beyond"], "tensor_0", axes=[0]),
        node("GlobalAveragePool", ["tensor_0"], "tensor_1"),
    ]
    outputs = [Value("tensor_0", (1, *EARLY)), Value("tensor_1", (1, 3, 1, 1))]
    return model(nodes, [Value("picture", (1, HEIGHT, WIDTH, 3), UINT8)], outputs)


def _plan(planes: NDArray[np.float32], bits: int) -> TensorPlan:
    quantiser = by_range(planes, bits)
    return TensorPlan(quantiser, fit_coder([quantiser.symbols(each) for each in planes], 1 << bits))


def _pinned(path: Path) -> FileEntry:
    data = path.read_bytes()
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data), required=path.name.startswith("plan"))


def _head(tensors: int) -> bytes:
    nodes = [
        node("Cast", ["picture"], "floats", to=FLOAT),
        node("Transpose", ["floats"], "planes", perm=[0, 3, 1, 2]),
        node("MaxPool", ["planes"], "tensor_0", kernel_shape=[SIDE, SIDE], strides=[SIDE, SIDE]),
        node("GlobalAveragePool", ["tensor_0"], "tensor_1"),
    ]
    outputs = [Value("tensor_0", (1, *EARLY)), Value("tensor_1", (1, 3, 1, 1))]
    return model(nodes[: 2 + tensors], [Value("picture", (1, HEIGHT, WIDTH, 3), UINT8)], outputs[:tensors])


def _tail(operators: list[str], source: str, batch: int | str, tensors: int) -> bytes:
    names = [source, *(f"made_{place}" for place in range(len(operators) - 1)), "scores"]
    nodes = [node(each, [names[place]], names[place + 1]) for place, each in enumerate(operators)]
    nodes.append(node("Identity", ["tensor_0"], "heat"))
    inputs = [Value("tensor_0", (batch, *EARLY)), Value("tensor_1", (batch, 3, 1, 1))]
    return model(nodes, inputs[:tensors], [Value("scores", (batch, 3)), Value("heat", (batch, *EARLY))])
