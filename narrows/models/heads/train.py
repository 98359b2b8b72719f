"""Training a head: minutes on one core, resumable, with the time that is left.

A run folder holds ``config.json``, the kept symbols and positions, ``progress.jsonl`` (a line an epoch),
``checkpoint.pt``, and at the end ``head.onnx`` with ``head.json``, which ``narrows head add`` takes.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from narrows.contract.bundle import Bundle, Head
from narrows.contract.errors import DatasetError
from narrows.contract.outputs import Output
from narrows.contract.outputs.labels import KIND, ROW_XOR_DEFLATE
from narrows.models.dataset import ClassList, FolderDataset
from narrows.models.export.graphs import write_graph
from narrows.models.export.write import file_entry
from narrows.models.heads.network import WIDTH, HeadGraph, PointHead
from narrows.models.heads.points import Points, Say, cached_points
from narrows.models.heads.rename import rename
from narrows.models.heads.trunk import TrunkTensor, trunk_tensors
from narrows.models.nn.stored import BEGIN_ANEW, read_stored, write_stored
from narrows.models.training.loss import class_weights
from narrows.models.training.progress import append_record
from narrows.models.training.run import check_loss
from narrows.models.training.run_folder import CONFIG, keep_settings, locked
from narrows.runtime.writing import write_file

HEAD_GRAPH, HEAD_RECORD, CHECKPOINT = "head.onnx", "head.json", "checkpoint.pt"


_MAY_CHANGE = frozenset({"name", "epochs", "threads", "provenance"})
"""What a run that goes on may be given another of."""


@dataclass(frozen=True)
class HeadConfig:
    """What a run depends on beside bundle, data and code.

    Attributes:
        name: of the head and its output.
        points: positions drawn of each view of a frame.
        balance: 0 counts all positions alike, 1 weighs rare classes as ``narrows train`` does.
    """

    name: str
    width: int = WIDTH
    epochs: int = 30
    points: int = 1000
    batch: int = 4096
    learning_rate: float = 3e-3
    balance: float = 0.5
    seed: int = 20260720
    threads: int = 1
    provenance: str = ""


def train_head(bundle: Bundle, data: FolderDataset, config: HeadConfig, run: Path, say: Say = print) -> Head:
    """Train a label map from the bundle's frozen symbols and write it into the run folder.

    Raises:
        DatasetError: the pictures cannot be read, or are of another size than the bundle's.
        HeadGraphRefused: the bundle's decoder has no trunk that heads can read.
        ConfigError: the run folder is another command's, was begun with other options, or is in use.
        WeightsMismatch: the run folder holds the training of another head.
    """
    torch.set_num_threads(config.threads)
    size = bundle.manifest.input
    if data.classes.size != (size.width, size.height):
        raise DatasetError(f"pictures of {data.classes.size}; bundle {bundle.hex_id} takes {size.width}x{size.height}")
    tensors = trunk_tensors(bundle.decoder_path)
    with locked(run):
        asked = asdict(config) | {"bundle": bundle.hex_id, "classes": data.classes.names}
        begun = (run / CHECKPOINT).is_file()
        keep_settings(run / CONFIG, asked, may_change=_MAY_CHANGE, begun=begun)
        points = cached_points(bundle, data, run, config.points, config.seed, say)
        head = _trained(points, tensors, data.classes, config, run, say)
        return _written(head, tensors, bundle, data.classes, config, run)


def _trained(
    points: Points, tensors: tuple[TrunkTensor, ...], classes: ClassList, config: HeadConfig, run: Path, say: Say
) -> PointHead:
    torch.manual_seed(config.seed)
    count = len(classes.names)
    head = PointHead([tensor.channels for tensor in tensors], count, config.width)
    sample = points.features[:: max(1, len(points.features) // 20000)].astype(np.float32)
    head.get_buffer("mean").copy_(torch.from_numpy(sample.mean(axis=0)))
    head.get_buffer("deviation").copy_(torch.from_numpy(sample.std(axis=0)).clamp_min(1e-3))
    weights = class_weights([points.labels], count) ** config.balance
    optimiser = torch.optim.AdamW(head.parameters(), weight_decay=1e-3)
    done = _resume(run / CHECKPOINT, head, optimiser, say)
    while done < config.epochs:
        begun_s = time.monotonic()
        rate = config.learning_rate * 0.5 * (1 + math.cos(math.pi * done / config.epochs))
        loss, right = _epoch(head, points, weights, optimiser, rate, config, done)
        done += 1
        took_s = time.monotonic() - begun_s
        record = {"epoch": done, "loss": round(loss, 4), "agreement": round(right, 4), "seconds": round(took_s, 1)}
        append_record(run, record)
        _keep(run / CHECKPOINT, head, optimiser, done)
        left_min = (config.epochs - done) * took_s / 60
        say(f"epoch {done}/{config.epochs}  {json.dumps(record)}  about {left_min:.0f} min left")
    return head.eval()


def _epoch(
    head: PointHead,
    points: Points,
    weights: Tensor,
    optimiser: torch.optim.AdamW,
    rate: float,
    config: HeadConfig,
    number: int,
) -> tuple[float, float]:
    """One pass in an order of its own; answers the mean loss, and the share of positions that it had right."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    order = np.random.default_rng((config.seed, number)).permutation(len(points.labels))
    losses, right = 0.0, 0
    for at in range(0, len(order), config.batch):
        chosen = np.sort(order[at : at + config.batch])
        features = torch.from_numpy(points.features[chosen].astype(np.float32))
        labels = torch.from_numpy(points.labels[chosen].astype(np.int64))
        logits = head.points(features)
        loss = functional.cross_entropy(logits, labels, weights)
        check_loss(loss)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        optimiser.step()
        losses += loss.item() * len(chosen)
        right += int((logits.argmax(dim=1) == labels).sum())
    return losses / len(order), right / len(order)


def _resume(path: Path, head: PointHead, optimiser: torch.optim.AdamW, say: Say) -> int:
    if not path.is_file():
        return 0
    state = read_stored(path, "training of this head", {"head", "optimiser", "epoch"}, BEGIN_ANEW)
    state.fill(head, "head")
    state.fill(optimiser, "optimiser")
    say(f"resuming after epoch {state.values['epoch']}")
    return int(state.values["epoch"])


def _keep(path: Path, head: PointHead, optimiser: torch.optim.AdamW, epoch: int) -> None:
    write_stored({"head": head.state_dict(), "optimiser": optimiser.state_dict(), "epoch": epoch}, path)


def _written(
    head: PointHead,
    tensors: tuple[TrunkTensor, ...],
    bundle: Bundle,
    classes: ClassList,
    config: HeadConfig,
    run: Path,
) -> Head:
    size = bundle.manifest.input.height, bundle.manifest.input.width
    batch = torch.export.Dim("batch", min=1, max=256)
    names = [f"read_{index}" for index in range(len(tensors))]
    zeros = tuple(torch.zeros(2, tensor.channels, tensor.height, tensor.width) for tensor in tensors)
    graph = HeadGraph(head, tensors, size)
    write_graph(graph, zeros, run / HEAD_GRAPH, names, [config.name], {"tensors": tuple({0: batch} for _ in names)})
    rename(run / HEAD_GRAPH, dict(zip(names, (tensor.name for tensor in tensors), strict=True)), config.name)
    record = Head(
        output=Output(config.name, KIND, "uint8", size, ROW_XOR_DEFLATE, classes.names),
        file=file_entry(run / HEAD_GRAPH),
        symbols_sha256=bundle.manifest.symbols_sha256,
        decoder_sha256=bundle.decoder_sha256,
        palette=classes.palette,
        provenance=config.provenance,
    )
    write_file(run / HEAD_RECORD, record.to_json())
    return record
