"""The validation frames as a camera would send them: real packets at every level, decoded again."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.rate.gains import read_gains
from benchmarks.rate.made_of import digest, digest_of
from benchmarks.rate.plan import RunFolder
from benchmarks.rate.video import KEY_EVERY
from narrows.contract.codec import CodingTables, decode_symbols, encode_symbols, quantise, remember, symbol_digest
from narrows.contract.codec.symbols import Memory
from narrows.contract.wire import FeaturePacket, LatentShape, PacketKind
from narrows.models.dataset import FolderDataset, LabelledPicture
from narrows.models.export.counting import latents_of
from narrows.runtime.onnx_runtime import InferenceSession, SessionOptions
from narrows.runtime.writing import write_file

Symbols = NDArray[np.int8]


@dataclass(frozen=True)
class Sent:
    """Frames after the uplink: symbols ``(levels, N, C, h, w)`` int8 and whole packets' bytes ``(levels, N)``.

    Attributes:
        packet_bytes: each frame alone, as K.
        clip_bytes: as a clip: P packets, but for a K as often as a video has a key frame.
    """

    symbols: Symbols
    packet_bytes: NDArray[np.int64]
    clip_bytes: NDArray[np.int64]


def session(path: Path) -> InferenceSession:
    """ONNX Runtime, one thread."""
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return InferenceSession(path, options, providers=["CPUExecutionProvider"])


def validation(data: FolderDataset, limit: int) -> list[LabelledPicture]:
    """The split's frames, or the first ``limit`` of them.

    Raises:
        DatasetError: one is of another size than the networks are made for.
    """
    return list(replace(data, names=data.names[: limit or None]).at_its_size())


def send(folder: RunFolder, encoder: str, decoder: str, frames: Sequence[LabelledPicture]) -> Sent:
    """Encode, code, packet, parse and decode every frame at every level of a decoder's gains; kept in the run."""
    gains, graph, counted = read_gains(folder.graph(decoder)), folder.graph(encoder), folder.tables(encoder)
    made_of = f"{digest(graph, counted)}-{gains.tobytes().hex()}-{digest_of(frames)}-{KEY_EVERY}"
    kept = folder.sent(encoder)
    if kept.is_file():
        with np.load(kept) as stored:
            if str(stored["made_of"]) == made_of:
                return Sent(stored["symbols"], stored["packet_bytes"], stored["clip_bytes"])
    tables = CodingTables.from_bytes(counted.read_bytes())
    latents = latents_of(graph, (frame.picture for frame in frames))
    planes = [[tables.silence(quantise(x, gain), level) for x in latents] for level, gain in enumerate(gains)]
    alone = [[through_packet(plane, tables, level) for plane in some] for level, some in enumerate(planes)]
    sent = Sent(
        np.array(planes), np.array(alone), np.array([_clip_bytes(some, tables, at) for at, some in enumerate(planes)])
    )
    content = io.BytesIO()
    np.savez(content, **vars(sent), made_of=made_of)
    write_file(kept, content.getvalue())
    return sent


def _clip_bytes(planes: Sequence[Symbols], tables: CodingTables, level: int) -> list[int]:
    """Of consecutive frames as P packets, but for a K as often as a video has a key frame."""
    sizes: list[int] = []
    memory: Memory | None = None
    for place, plane in enumerate(planes):
        before = memory if place % KEY_EVERY else None
        sizes.append(through_packet(plane, tables, level, before))
        memory = remember(plane, before)
    return sizes


def through_packet(symbols: Symbols, tables: CodingTables, level: int, memory: Memory | None = None) -> int:
    """The bytes of the packet that a plane ``(C, h, w)`` comes back from: P where there is a memory, else K."""
    packet = FeaturePacket(
        bundle_id=1,
        epoch=1,
        sequence=1,
        capture_ms=0,
        level=level,
        shape=LatentShape(*symbols.shape),
        own_digest=symbol_digest(symbols),
        payload=encode_symbols(symbols, tables, level, memory),
        kind=PacketKind.KEY if memory is None else PacketKind.PREDICTED,
        reference_distance=0 if memory is None else 1,
    )
    data = packet.to_bytes()
    received = FeaturePacket.parse(data)
    decoded = decode_symbols(received.payload, received.shape.as_tuple(), tables, level, memory)
    assert symbol_digest(decoded) == received.own_digest
    return len(data)
