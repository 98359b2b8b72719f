"""``narrows split compress``: a network pruned and narrowed at a cut, trained for the link."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.number_options import MOST_SEED, MOST_THREADS
from narrows.cli.written_paths import file_to_write
from narrows.contract.errors import ConfigError
from narrows.runtime.writing import check_folder_writable


class LearnFrom(StrEnum):
    """What says whether an answer is right."""

    NETWORK = "network"
    LABELS = "labels"
    BOTH = "both"


def compress(
    model: Annotated[Path, typer.Argument(help="ONNX file, as it is.")],
    *,
    cut: Annotated[
        list[str],
        typer.Option(help="Tensors that cross, with commas between, as `narrows split profile` lists them."),
    ],
    data: Annotated[
        Path,
        typer.Option(help="Folder of pictures; with labels a labelled folder, or a folder of each class's pictures."),
    ],
    out: Annotated[Path, typer.Option(callback=file_to_write, help="ONNX file to write.")],
    run: Annotated[
        Path | None,
        typer.Option(help="Run folder; a run that was stopped goes on.", show_default="OUT without .onnx, and .run"),
    ] = None,
    prune: Annotated[float, typer.Option(min=0, max=0.9, help="Share of the head's cost to remove.")] = 0.2,
    bits_weight: Annotated[
        float,
        typer.Option(min=0, max=1, help="Of the bits at the cut in that cost; multiply-accumulates have the rest."),
    ] = 0.3,
    channels: Annotated[
        int,
        typer.Option(min=0, max=512, help="Of the narrow tensor that crosses instead, at most; 0 for no encoder pair."),
    ] = 128,
    stride: Annotated[int, typer.Option(min=1, max=8, help="By which it has fewer rows and columns.")] = 1,
    noise: Annotated[
        float,
        typer.Option(
            min=0.0001,
            max=1,
            help="What rounding adds to begin with, of the variance of what crosses: 0.1 does for a "
            "label map, a classifier wants 0.02. Less takes more bytes.",
        ),
    ] = 0.1,
    learn_from: Annotated[
        LearnFrom,
        typer.Option(help="The unmodified network's answers (no labels needed), labels, or both."),
    ] = LearnFrom.NETWORK,
    price: Annotated[
        float, typer.Option(min=0, help="Of a bit a pixel of the picture, in the loss: dearer bits are fewer.")
    ] = 0.3,
    steps: Annotated[int, typer.Option(min=0, help="Of training; 0 for none.")] = 400,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = 4,
    learning_rate: Annotated[
        float, typer.Option(min=0, help="Of the pair; the network's weights have a tenth.")
    ] = 3e-4,
    split: Annotated[str, typer.Option(help="Of a labelled folder.")] = "train",
    classes: Annotated[Path | None, typer.Option(help="File with a name a line: what folders are called.")] = None,
    input_shape: Annotated[str | None, typer.Option(help="Of the input, where the file leaves it open.")] = None,
    mean: Annotated[str, typer.Option(help="Taken from values of 0 to 255, of red, green, blue.")] = "0,0,0",
    deviation: Annotated[str, typer.Option(help="Then divided by.")] = "255,255,255",
    bgr: Annotated[bool, typer.Option(help="The network takes blue first.")] = False,
    threads: Annotated[
        int, typer.Option(min=1, max=MOST_THREADS, help="CPU threads; beside other work one is fastest.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Everything random hangs on it.")] = 1,
) -> None:
    """Prune the head, put a narrow encoder and decoder at the cut, and train it all for few bytes and right answers.

    OUT is an ONNX network like any other, whose narrow cut is called narrow_0: `narrows split profile`, `frontier` and
    `export --cut narrow_0` take it. One in int8 stays so. Every tenth picture is kept to judge the result on. A run
    that was stopped, by Ctrl-C or a crash, goes on when the same command is given again.

    Example: narrows split compress detector.onnx --cut relu_9 --data photographs --out small.onnx

    Example: narrows split compress street.onnx --cut add_6 --data data/camvid --learn-from both --prune 0.3
    --stride 2 --out small.onnx

    Example: narrows split compress classifier.onnx --cut add_5 --data photographs --prune 0 --channels 96 --noise 0.02
    --out small.onnx --mean 127,127,127 --deviation 128,128,128
    """
    from narrows.cli.split import normalisation_of, parse_shape
    from narrows.cli.split_export import class_names
    from narrows.models.bottleneck.compress import compress as compress_network
    from narrows.models.bottleneck.settings import Request, Settings

    if out.suffix != ".onnx":
        raise ConfigError(f"--out {out}: name a file that ends in .onnx")
    check_folder_writable(run or out.with_suffix(".run"))
    settings = Settings(
        cut=tuple(name.strip() for each in cut for name in each.split(",")),
        prune=prune,
        bits_weight=bits_weight,
        channels=channels,
        stride=stride,
        noise=noise,
        learn_from=learn_from.value,
        price=price,
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        seed=seed,
    )
    request = Request(
        network=model,
        input_shape=parse_shape(input_shape),
        normalisation=normalisation_of(mean, deviation, bgr=bgr),
        data=data,
        split=split,
        classes=class_names(classes),
        run=run or out.with_suffix(".run"),
        out=out,
        threads=threads,
    )
    try:
        found = compress_network(request, settings, typer.echo)
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command goes on from what {request.run} holds", err=True)
        raise
    typer.echo(
        f"{found.bytes_before:,.0f} bytes before, {found.bytes:,.0f} now; agreement with the unmodified network "
        f"{found.agreement:.3f} on {found.pictures} pictures; {found.head_macs_before / 1e6:,.0f} M MACs at the device "
        f"before, {found.head_macs / 1e6:,.0f} M now"
    )
    typer.echo(f"{out}, cut {','.join(found.cut)}; next: narrows split export {out} --cut {','.join(found.cut)} ...")
