"""How far a head agrees with labels, at every rate level: a teacher's, or a person's through a map of classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle, Head
from narrows.models.dataset.base import Samples
from narrows.models.evaluation import ConfusionMatrix
from narrows.models.export.int8_loss import frames_of
from narrows.models.heads.join import join
from narrows.runtime.onnx_runtime import InferenceSession, SessionOptions
from narrows.runtime.surroundings import scratch_folder


@dataclass(frozen=True)
class Comparison:
    """At one rate level: the share of labelled pixels that are the same, and mIoU."""

    agreement: float
    miou: float


def compare(bundle: Bundle, head: Head, graph: Path, data: Samples) -> list[Comparison]:
    """Run a head on what cameras would send of labelled pictures; one row a rate level."""
    matrices = [ConfusionMatrix(len(data.classes.names), data.classes.ignore_index) for _ in bundle.gains]
    with scratch_folder() as scratch:
        joined = scratch / "joined.onnx"
        join(bundle.decoder_path, [(head, graph)], joined)
        options = SessionOptions()
        options.intra_op_num_threads = 1
        session = InferenceSession(joined, options, providers=["CPUExecutionProvider"])
        samples = list(data)
        for sample, feeds in zip(samples, frames_of(bundle, samples), strict=True):
            for matrix, feed in zip(matrices, feeds, strict=True):
                labels: NDArray[np.uint8] = session.run([head.name], feed)[0][0]
                matrix.update(sample.labels, labels)
    return [Comparison(matrix.pixel_accuracy, matrix.miou) for matrix in matrices]
