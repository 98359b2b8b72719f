"""Bytes beside the payload in both packet formats, open and sealed, contexts included: video through the camera's code.

Example: python -m benchmarks.headers --bundle bundles/demo --videos ../shared/data/videos
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.record import write_result
from benchmarks.time.clips import Clip, find_clips
from edge_client.encode.coding import FrameCoder
from edge_client.encode.encoder import OnnxEncoder
from edge_client.encode.sealing import Sealing
from edge_client.encode.writing import PacketWriter
from edge_client.settings import EdgeSettings
from narrows.contract.bundle import Bundle
from narrows.contract.seal import Keyring
from narrows.contract.secret_files import write_secret
from narrows.contract.wire import FrameIdentity

KEY_PERIOD_S = EdgeSettings("", "cam-1", "", Path(), Path()).key_period_s
STREAM, EPOCH = "cam-1", 1
_FRAMES = 150

Latents = Sequence[NDArray[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-headers", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--videos", type=Path, default=Path("../shared/data/videos"), help="folder of .mp4 files")
    parser.add_argument("--frames", type=int, default=_FRAMES, help="of each clip, at most")
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    clips = [clip for clip in find_clips(options.videos, Path("absent"))[0] if not clip.noise]
    if not clips:
        raise SystemExit(f"{options.videos} holds no .mp4 files: name a folder with --videos")
    encoder = OnnxEncoder(bundle)
    taken = [
        (clip, [encoder.latent(encoder.fit(picture)) for picture in clip.pictures(options.frames)]) for clip in clips
    ]
    rows = [score_level(bundle, level, taken) for level in range(len(bundle.manifest.levels))]
    show(rows)
    figures = {"bundle": bundle.hex_id, "key_period_s": KEY_PERIOD_S, "clips": [clip.name for clip in clips]}
    figures |= {"frames": sum(len(latents) for _, latents in taken), "levels": rows}
    print(write_result("headers", "make bench-headers", figures))


def score_level(bundle: Bundle, level: int, taken: Sequence[tuple[Clip, Latents]]) -> dict[str, Any]:
    """Mean bytes of a level's packets, and the share of them that is no payload; format 2 carries its contexts."""
    row: dict[str, Any] = {"level": level}
    for sealed in (False, True):
        for packet_format in (1, 2):
            sizes = [
                size
                for clip, latents in taken
                for size in _sizes(bundle, level, clip, latents, packet_format, sealed=sealed)
            ]
            payload, whole = (statistics.fmean(part) for part in zip(*sizes, strict=True))
            name = f"format_{packet_format}{'_sealed' if sealed else ''}"
            row |= {"payload_bytes": payload, f"{name}_bytes": whole, f"{name}_header_share": 1 - payload / whole}
    return row


def _sizes(
    bundle: Bundle, level: int, clip: Clip, latents: Latents, packet_format: int, *, sealed: bool
) -> list[tuple[int, int]]:
    """Of each frame the payload's bytes and the packet's."""
    with TemporaryDirectory() as folder:
        writer = PacketWriter(_sealing(Path(folder)) if sealed else None, lambda: packet_format)
        coder, sizes = FrameCoder(bundle, KEY_PERIOD_S), []
        for sequence, latent in enumerate(latents):
            now_s, identity = sequence / clip.frames_per_s, FrameIdentity(EPOCH, sequence)
            capture_ms = round(1000 * now_s)
            wanted = writer.wants_key(identity, capture_ms, 1920, 1080)
            packet = coder.packet(latent, level, identity, capture_ms, now_s, key_wanted=wanted)
            sizes.append((len(packet.payload), len(writer.write(packet, begin=wanted).data)))
    return sizes


def _sealing(folder: Path) -> Sealing:
    file = folder / "cam-1.key"
    write_secret(file, Keyring().rotated(0, None).issue(STREAM, 0).to_json())
    return Sealing(file, STREAM, lambda: 0.0)


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the table."""
    table = Table(title="Bytes of a packet, and the share that is no payload")
    for name in ("level", "payload", "format 1", "format 2", "format 1, sealed", "format 2, sealed"):
        table.add_column(name, justify="right")
    for row in rows:
        names = ("format_1", "format_2", "format_1_sealed", "format_2_sealed")
        cells = [f"{row[f'{name}_bytes']:,.0f} ({row[f'{name}_header_share']:.1%})" for name in names]
        table.add_row(str(row["level"]), f"{row['payload_bytes']:,.0f}", *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
