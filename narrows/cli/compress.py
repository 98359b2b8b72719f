"""``narrows compress``: a bundle made smaller."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.number_options import MOST_SEED, MOST_THREADS
from narrows.cli.written_paths import folder_to_write


def compress(
    *,
    data: Annotated[Path, typer.Option(help="Labelled folder of the bundle's classes and picture size.")],
    out: Annotated[Path, typer.Option(callback=folder_to_write, help="Bundle folder to write.")],
    bundle: Annotated[Path, typer.Option(help="Bundle folder to begin with.")] = Path("bundles/demo"),
    run: Annotated[Path, typer.Option(help="Run folder; a training that was stopped goes on.")] = Path("runs/compress"),
    split: Annotated[str, typer.Option(help="Split to train and count on.")] = "train",
    leave_out: Annotated[str | None, typer.Option(help="Samples never to see, as in `narrows train`.")] = None,
    prune: Annotated[float, typer.Option(min=0, max=0.9, help="Share of the cost to remove by whole channels.")] = 0.0,
    bits_weight: Annotated[
        float, typer.Option(min=0, max=1, help="Of the bits at the bottleneck in that cost; work has the rest.")
    ] = 0.0,
    epochs: Annotated[int, typer.Option(min=0, help="Of training after it; 0 quantises alone (PTQ).")] = 0,
    quantisation_aware: Annotated[bool, typer.Option(help="Train as the int8 network that it will be (QAT).")] = True,
    distil: Annotated[bool, typer.Option(help="Learn from the bundle as it was, beside the labels.")] = True,
    weight_bits: Annotated[
        str, typer.Option(help="8, or 8/4 for both where the runtime executes it; refused by name else.")
    ] = "8",
    learning_rate: Annotated[float, typer.Option(min=0, help="Its peak.")] = 1.5e-4,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = 4,
    threads: Annotated[
        int, typer.Option(min=1, max=MOST_THREADS, help="CPU threads; beside other work one is fastest.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Everything random hangs on it.")] = 1,
) -> None:
    """Prune a bundle's encoder and bottleneck, train it a little as int8 with the bundle as its teacher, export it.

    Without epochs, `--prune 0` is PTQ alone: what export does. RUN/training.html shows a training. The result is a
    bundle of its own id: `narrows evaluate --bundle OUT` judges it, cameras and cloud take it as any other.

    Example: narrows compress --data data/camvid --out bundles/small --prune 0.15 --epochs 8

    Example: narrows compress --data data/camvid --out bundles/qat --epochs 4 --no-distil
    """
    from narrows.contract.bundle import Bundle
    from narrows.contract.errors import ConfigError
    from narrows.models.compression.compress import Compression
    from narrows.models.compression.compress import compress as compress_bundle
    from narrows.models.dataset import FolderDataset
    from narrows.models.export.four_bit import check_four_bit_convolutions

    if weight_bits not in {"8", "8/4"}:
        raise ConfigError(f"--weight-bits {weight_bits!r}: 8, or 8/4")
    if weight_bits == "8/4":
        check_four_bit_convolutions()
        raise ConfigError("--weight-bits 8/4: this runtime would execute it, but nothing here writes such graphs yet")
    dataset = FolderDataset.open(data, split).without_named(leave_out)
    how = Compression(
        prune=prune,
        bits_weight=bits_weight,
        quantisation_aware=quantisation_aware,
        distil=distil,
        epochs=epochs,
        learning_rate=learning_rate,
        batch=batch,
        threads=threads,
        seed=seed,
    )
    before = Bundle.open(bundle)
    after = compress_bundle(before, dataset, how, run, out, typer.echo)
    for name, each in (("before", before), ("after", after)):
        size = each.encoder_path.stat().st_size
        bits = ", ".join(f"{level.bits_per_pixel:.4f}" for level in each.manifest.levels)
        typer.echo(f"{name}: encoder {size / 1e6:.2f} MB, bits per pixel by level {bits}")
    typer.echo(f"{how.name}: bundle {after.hex_id} in {out}; next: narrows evaluate --data {data} --bundle {out}")
