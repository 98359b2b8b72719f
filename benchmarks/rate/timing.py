"""Processor time of one frame, all parts in turn on this machine: ONNX Runtime and the codecs, one thread each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from benchmarks.rate.codecs import STILLS, PictureCodec, Setting, scaled_down
from benchmarks.rate.frames import Sent, session
from benchmarks.rate.plan import FROZEN, RunFolder
from benchmarks.rate.video import VideoCodec
from narrows.contract.codec import CodingTables, decode_symbols, encode_labels, encode_symbols, general_label_tables
from narrows.contract.outputs.labels.scaling import divide_labels
from narrows.models.dataset import LabelledPicture

Part = Callable[[], object]
_MIDDLE = Setting(0.75, 0)
_MASK_DIVISOR = 4


def measure(parts: Mapping[str, Part], rounds: int) -> dict[str, float]:
    """Median CPU milliseconds of the calling thread for each part; parts take turns within a round."""
    times: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, part in parts.items():
            began = time.thread_time()
            part()
            times[name].append(1e3 * (time.thread_time() - began))
    return {name: statistics.median(values) for name, values in times.items()}


def graph_parts(folder: RunFolder, latent: Sequence[str], pictures: Sequence[str], sent: Sent) -> dict[str, Part]:
    """One frame through each exported network."""
    middle = len(sent.symbols) // 2
    symbols = {"symbols": sent.symbols[middle][:1], "level": np.array([[middle]], np.int32)}
    height, width = 16 * sent.symbols.shape[-2], 16 * sent.symbols.shape[-1]
    parts: dict[str, Part] = {}
    for name in (*latent, *pictures):
        running = session(folder.graph(name))
        feed = symbols if name in latent else {"picture": _noise(running.get_inputs()[0].shape, height, width)}
        parts[name] = partial(running.run, None, feed)
    return parts


def _noise(shape: Sequence[int], height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    fixed = shape if all(isinstance(side, int) for side in shape) else (1, height, width, 3)
    return np.random.default_rng(0).integers(0, 255, fixed, dtype=np.uint8)


def coding_parts(folder: RunFolder, sent: Sent, frame: LabelledPicture, classes: int) -> dict[str, Part]:
    """What stands before and after the networks: entropy coding, picture codecs, mask packing."""
    tables = CodingTables.from_bytes(folder.tables(FROZEN).read_bytes())
    level = len(sent.symbols) // 2
    plane = sent.symbols[level][0]
    payload = encode_symbols(plane, tables, level)
    labels, label_tables = np.minimum(frame.labels, classes - 1), general_label_tables()
    parts: dict[str, Part] = {
        "latent_encode": lambda: encode_symbols(plane, tables, level),
        "latent_decode": lambda: decode_symbols(payload, plane.shape, tables, level),
        "mask_encode": lambda: encode_labels(divide_labels(labels, _MASK_DIVISOR, classes), classes, label_tables),
    }
    for codec in STILLS:
        parts[f"{codec.name}_encode"] = partial(_encode, codec, frame)
        parts[f"{codec.name}_both"] = partial(codec.code, frame.picture, _at_middle(codec))
    return parts


def video_ms(codec: VideoCodec, frames: Sequence[LabelledPicture]) -> float:
    """CPU milliseconds a frame of a video, coding and decoding together, over a clip."""
    clip = [frame.picture for frame in frames[:30]]
    began = time.process_time()
    count = sum(1 for _ in codec.code(clip, _at_middle(codec)))
    return 1e3 * (time.process_time() - began) / count


def _at_middle(codec: PictureCodec | VideoCodec) -> Setting:
    return Setting(_MIDDLE.scale, codec.qualities[len(codec.qualities) // 2])


def _encode(codec: PictureCodec, frame: LabelledPicture) -> object:
    setting = _at_middle(codec)
    return codec.payload(scaled_down(frame.picture, setting.scale), setting.quality)
