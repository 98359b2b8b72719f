"""The validation frames as a camera would send them: real packets at every level, decoded again."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.rate.plan import RunFolder
from narrows.contract.codec import CodingTables, decode_symbols, encode_symbols, quantise, symbol_digest
from narrows.contract.wire import FeaturePacket, LatentShape, PacketKind
from narrows.models.dataset import FolderDataset, LabelledPicture
from narrows.models.export.counting import latents_of
from narrows.runtime.onnx_runtime import InferenceSession, SessionOptions
from narrows.runtime.writing import write_file


@dataclass(frozen=True)
class Sent:
    """Frames after the uplink: symbols ``(levels, N, C, h, w)`` int8 and whole packets' bytes ``(levels, N)``."""

    symbols: NDArray[np.int8]
    packet_bytes: NDArray[np.int64]


def session(path: Path) -> InferenceSession:
    """ONNX Runtime, one thread."""
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return InferenceSession(path, options, providers=["CPUExecutionProvider"])


def digest(*paths: Path) -> str:
    """SHA-256 over files."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()


def validation(data: FolderDataset, limit: int) -> list[LabelledPicture]:
    """The split's frames, or the first ``limit`` of them."""
    return [data.read(name) for name in (data.names[:limit] if limit else data.names)]


def send(folder: RunFolder, gains: NDArray[np.float32], frames: Sequence[LabelledPicture]) -> Sent:
    """Encode, code, packet, parse and decode every frame at every level of ``gains`` (levels, C); kept in the run."""
    made_of = digest(folder.graph("encoder"), folder.tables) + f"-{len(frames)}"
    kept = folder.root / "sent.npz"
    if kept.is_file():
        with np.load(kept) as stored:
            if str(stored["made_of"]) == made_of:
                return Sent(stored["symbols"], stored["packet_bytes"])
    tables = CodingTables.from_bytes(folder.tables.read_bytes())
    latents = latents_of(folder.graph("encoder"), (frame.picture for frame in frames))
    both = [[_through_packet(latent, gain, tables, level) for latent in latents] for level, gain in enumerate(gains)]
    symbols = np.stack([[plane for plane, _ in row] for row in both])
    sizes = np.array([[size for _, size in row] for row in both])
    content = io.BytesIO()
    np.savez(content, symbols=symbols, packet_bytes=sizes, made_of=made_of)
    write_file(kept, content.getvalue())
    return Sent(symbols, sizes)


def _through_packet(
    latent: NDArray[np.float32], gain: NDArray[np.float32], tables: CodingTables, level: int
) -> tuple[NDArray[np.int8], int]:
    symbols = tables.silence(quantise(latent, gain), level)
    packet = FeaturePacket(
        bundle_id=1,
        epoch=1,
        sequence=0,
        capture_ms=0,
        level=level,
        shape=LatentShape(*symbols.shape),
        own_digest=symbol_digest(symbols),
        payload=encode_symbols(symbols, tables, level),
        kind=PacketKind.KEY,
    )
    data = packet.to_bytes()
    received = FeaturePacket.parse(data)
    decoded = decode_symbols(received.payload, received.shape.as_tuple(), tables, level)
    assert symbol_digest(decoded) == received.own_digest
    return decoded, len(data)
