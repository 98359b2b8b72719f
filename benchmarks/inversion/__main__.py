"""Train a network that guesses pictures from the symbols of open packets, and say how near it comes at each rate level.

It is what somebody can do who reads open packets, has the bundle, and has pictures of such places: it learns on the
train split and is judged on validation, at half the pictures' size, which is finer than what comes back. Beside it
stands the mean picture of the train split, which needs no packet.

Example: python -m benchmarks.inversion --data ../shared/data/camvid --steps 600
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional

from benchmarks.inversion.likeness import psnr_db, ssim
from benchmarks.inversion.network import Inverter
from benchmarks.record import write_result
from edge_client.encode.encoder import OnnxEncoder
from narrows.contract.bundle import Bundle
from narrows.contract.codec import encode_symbols, quantise
from narrows.contract.wire.feature import HEADER_BYTES
from narrows.models.dataset import FolderDataset

BATCH, RATE = 8, 2e-3
PICTURE = Path("docs/pictures/inversion.jpg")
SHOWN_WIDTH = 240


@dataclass(frozen=True)
class Split:
    """Pictures ``(N, 3, H, W)`` uint8 at half size, and symbols ``(N, levels, C, h, w)`` int8 as packets carry them."""

    pictures: Tensor
    symbols: Tensor
    packet_bytes: tuple[float, ...]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-inversion", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"), help="labelled folder")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--steps", type=int, default=600, help="of training, 8 frames each")
    parser.add_argument("--frames", type=int, help="frames of each split at most (default: all)")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()
    torch.manual_seed(0)
    bundle = Bundle.open(options.bundle)
    train, val = (read(bundle, FolderDataset.open(options.data, name), options.frames) for name in ("train", "val"))
    network = trained(bundle, train, options.steps)
    rows, guesses = judged(bundle, network, val)
    blind = train.pictures.float().mean(0) / 255
    figures: dict[str, Any] = {
        "bundle": bundle.hex_id,
        "train_frames": len(train.pictures),
        "val_frames": len(val.pictures),
        "steps": options.steps,
        "parameters": sum(p.numel() for p in network.parameters()),
        "mean_picture": likeness([blind] * len(val.pictures), val.pictures),
        "levels": rows,
    }
    side_by_side(val.pictures, guesses, options.picture)
    show(figures)
    print(write_result("inversion", f"make bench-inversion  # {options.data.name}", figures))


def read(bundle: Bundle, data: FolderDataset, most: int | None) -> Split:
    """Encode a split as a camera does, at every level."""
    encoder = OnnxEncoder(bundle)
    pictures, symbols, sizes = [], [], []
    for name in data.names[:most]:
        picture = encoder.fit(data.read(name).picture)
        latent = encoder.latent(picture)
        planes = [
            bundle.tables.silence(quantise(latent, bundle.gains[level]), level) for level in range(len(bundle.gains))
        ]
        sizes.append([HEADER_BYTES + len(encode_symbols(p, bundle.tables, i)) for i, p in enumerate(planes)])
        pictures.append(_halved(picture).transpose(2, 0, 1).copy())
        symbols.append(np.stack(planes))
    mean_bytes = tuple(float(size) for size in np.asarray(sizes).mean(axis=0))
    return Split(torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.stack(symbols)), mean_bytes)


def trained(bundle: Bundle, train: Split, steps: int) -> Inverter:
    """A network after so many steps; every frame comes at a level by chance, every second time mirrored."""
    height, width = train.pictures.shape[-2:]
    network = Inverter(bundle.manifest.latent.channels, len(bundle.gains), (height, width))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-4)
    gains = _gains(bundle)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 50) * (1.02 - step / steps)
        chosen = torch.randint(len(train.pictures), (BATCH,))
        level = torch.randint(len(bundle.gains), (BATCH,))
        latent = train.symbols[chosen, level].float() / gains[level]
        truth = train.pictures[chosen].float() / 255
        if step % 2:
            latent, truth = latent.flip(-1), truth.flip(-1)
        with torch.autocast("cpu", torch.bfloat16):
            guess = network(latent.contiguous(memory_format=torch.channels_last), level)
        loss = functional.l1_loss(guess.float(), truth) + functional.mse_loss(guess.float(), truth)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 50 == 49:
            print(f"step {step + 1} of {steps}: loss {loss.item():.4f}", flush=True)
    return network.eval()


@torch.no_grad()
def judged(bundle: Bundle, network: Inverter, val: Split) -> tuple[list[dict[str, Any]], dict[int, list[Tensor]]]:
    """A row and the guesses of each level."""
    gains, rows, guesses = _gains(bundle), [], {}
    for level in range(len(bundle.gains)):
        chosen = torch.tensor([level])
        with torch.autocast("cpu", torch.bfloat16):
            guesses[level] = [
                network(planes[None, level].float() / gains[chosen], chosen)[0].float() for planes in val.symbols
            ]
        rows.append({"level": level, "packet_bytes": val.packet_bytes[level], **likeness(guesses[level], val.pictures)})
    return rows, guesses


def likeness(guesses: list[Tensor], pictures: Tensor) -> dict[str, float]:
    """Mean PSNR and SSIM."""
    pairs = [(guess, picture.float() / 255) for guess, picture in zip(guesses, pictures, strict=True)]
    return {
        "psnr_db": statistics.fmean(psnr_db(*pair) for pair in pairs),
        "ssim": statistics.fmean(ssim(*pair) for pair in pairs),
    }


def side_by_side(pictures: Tensor, guesses: dict[int, list[Tensor]], path: Path) -> None:
    """Two frames: as filmed, then as guessed at the finest, the middle and the coarsest level."""
    levels = sorted({0, len(guesses) // 2, len(guesses) - 1})
    rows = []
    for index in (len(pictures) // 4, 3 * len(pictures) // 4):
        shown = [pictures[index].float() / 255, *(guesses[level][index] for level in levels)]
        rows.append(np.concatenate([_small(each) for each in shown], axis=1))
    Image.fromarray(np.concatenate(rows)).save(path, quality=85)


def show(figures: dict[str, Any]) -> None:
    table = Table("guessed from", "packet, bytes", "PSNR, dB", "SSIM")
    for row in figures["levels"]:
        table.add_row(
            f"level {row['level']}", f"{row['packet_bytes']:,.0f}", f"{row['psnr_db']:.1f}", f"{row['ssim']:.2f}"
        )
    mean = figures["mean_picture"]
    table.add_row("nothing: the mean picture", "", f"{mean['psnr_db']:.1f}", f"{mean['ssim']:.2f}")
    Console(width=100).print(table)


def _gains(bundle: Bundle) -> Tensor:
    """``(levels, C, 1, 1)``."""
    return torch.from_numpy(np.stack([np.asarray(gain, np.float32) for gain in bundle.gains]))[:, :, None, None]


def _halved(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    return np.asarray(Image.fromarray(picture).resize((width // 2, height // 2), Image.Resampling.BOX))


def _small(picture: Tensor) -> NDArray[np.uint8]:
    height, width = picture.shape[1:]
    pixels = (picture.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()
    resized = Image.fromarray(pixels).resize((SHOWN_WIDTH, SHOWN_WIDTH * height // width), Image.Resampling.LANCZOS)
    return np.asarray(resized)


if __name__ == "__main__":
    main()
