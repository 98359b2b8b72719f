"""``narrows promptable``: the small network that outlines what is pointed at."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.evaluate import show_progress
from narrows.cli.group import command_group
from narrows.cli.number_options import MOST_SEED, MOST_THREADS
from narrows.cli.written_paths import PICTURE_FORMATS, file_to_write, folder_to_write, picture_to_write
from narrows.runtime.writing import write_file

if TYPE_CHECKING:
    from narrows.models.promptable.evaluation.evaluate import GrabCut

promptable = command_group("Outline one thing that is pointed at: train, export, evaluate, segment.")


class DataLayout(StrEnum):
    """How a data set lies on disk."""

    COCO_PANOPTIC = "coco-panoptic"
    REGIONS = "regions"
    POLYGONS = "polygons"
    MASKS = "masks"


class Prompting(StrEnum):
    """What a thing is pointed at with."""

    BOX = "box"
    LOOSE_BOX = "loose-box"
    POINT = "point"
    POINTS = "points"
    POINTS_NEGATIVE = "points-negative"


NetworkFile = Annotated[
    Path | None, typer.Option(help="ONNX file of `narrows promptable export`; without one, floors alone.")
]
SamEncoder = Annotated[
    Path | None,
    typer.Option(help="ONNX encoder of the SAM family; --network is its decoder then."),
]


@promptable.command()
def evaluate(
    data: Annotated[Path, typer.Option(help="Data set folder.")],
    layout: Annotated[DataLayout, typer.Option(help="How it lies on disk.")],
    split: Annotated[str, typer.Option(help="Split: train2017, train, trainingset, all ...")],
    prompt: Annotated[Prompting, typer.Option(help="What each thing is pointed at with.")] = Prompting.BOX,
    network: NetworkFile = None,
    encoder: SamEncoder = None,
    fold: Annotated[int | None, typer.Option(min=0, max=4, help="Judge the pictures of this fold alone.")] = None,
    json: Annotated[Path | None, typer.Option(callback=file_to_write, help="Write the result here as JSON.")] = None,
    *,
    grabcut: Annotated[bool, typer.Option("--grabcut", help="GrabCut beside it.")] = False,
) -> None:
    """Point at every thing of a split once and compare its mask with the label, in the source's pixels.

    Floors stand beside it: the box filled, the ellipse in it, a fixed window. A figure without them says nothing.
    Prompts hang on a fixed seed. Folds are by picture.

    Example: narrows promptable evaluate --data data/coco --layout coco-panoptic --split train2017 --prompt box
    """
    from narrows.models.promptable.data import Layout
    from narrows.models.promptable.evaluation import Split, evaluate_split
    from narrows.models.promptable.prompts import PromptKind

    beside: GrabCut | None = None
    if grabcut:
        from narrows.models.promptable.evaluation.grabcut import grab

        beside = grab
    scores, _ = evaluate_split(
        Split(data, Layout(layout.value), split, fold),
        PromptKind(prompt.value),
        network,
        encoder=encoder,
        grabcut=beside,
        progress=show_progress,
    )
    typer.echo(scores.to_json())
    if network is not None and scores.unseen_fold is not None and fold != scores.unseen_fold:
        print(f"{network} was trained on all but fold {scores.unseen_fold}: --fold judges it fairly", file=sys.stderr)
    if json is not None:
        write_file(json, scores.to_json() + "\n")


@promptable.command()
def segment(
    picture: Annotated[Path, typer.Argument(help="Picture file.")],
    network: Annotated[Path, typer.Option(help="ONNX file of `narrows promptable export`.")],
    encoder: SamEncoder = None,
    box: Annotated[str | None, typer.Option(help="x,y,width,height in pixels.")] = None,
    point: Annotated[list[str] | None, typer.Option(help="x,y on the thing, or x,y,- beside it; repeat.")] = None,
    out: Annotated[
        Path, typer.Option(callback=picture_to_write, help="Picture to write: the mask over the source.")
    ] = Path("prompted.png"),
    mask: Annotated[
        Path | None,
        typer.Option(callback=file_to_write, help="Write the mask alone here, PNG, 255 where the thing is."),
    ] = None,
) -> None:
    """Outline one thing in a picture, and paint it over the picture.

    Example: narrows promptable segment street.jpg --network sensor.int8.onnx --box 120,80,200,150 --out seen.png

    Example: narrows promptable segment street.jpg --network sensor.int8.onnx --point 200,140 --point 90,60,-
    """
    from narrows.models.promptable.evaluation.split import open_segmenter
    from narrows.models.promptable.paint import packed, paint_prompted
    from narrows.runtime.pictures import read_picture
    from narrows.runtime.prompting.parsing import parse_prompt

    prompt = parse_prompt(box, point or ())
    source = read_picture(picture)
    found = open_segmenter(network, encoder).segment(source, prompt)
    write_file(out, packed(paint_prompted(source, found.mask, prompt), PICTURE_FORMATS[out.suffix.lower()]))
    if mask is not None:
        write_file(mask, packed(found.mask.astype("uint8") * 255, "PNG"))
    typer.echo(f"{int(found.mask.sum()):,} of {found.mask.size:,} pixels, {found.passes} passes; see {out}")


SOURCE_HELP = (
    "LAYOUT:DIR:SPLIT[:WEIGHT][:parts], drawn from as often as WEIGHT says; `parts` where its masks are parts of "
    "things or regions, which one point alone never means; repeat."
)
Sources = Annotated[list[str], typer.Option("--source", help=SOURCE_HELP)]
UnseenFold = Annotated[int | None, typer.Option(min=0, max=4, help="Never see pictures of this fold, of any source.")]


@promptable.command()
def train(
    *,
    source: Sources,
    run: Annotated[Path, typer.Option(help="Run folder; a run that was stopped goes on from its last epoch.")],
    fold: UnseenFold = None,
    pretrained: Annotated[Path | None, typer.Option(help="EfficientNet-Lite0 ImageNet weights (.pth).")] = None,
    begin_from: Annotated[Path | None, typer.Option(help="Run folder whose weights to begin with.")] = None,
    teacher: Annotated[Path | None, typer.Option(help="Run folder of a larger network to learn from as well.")] = None,
    taught_share: Annotated[float, typer.Option(min=0, max=1, help="Of the teacher beside the labels.")] = 0.5,
    large: Annotated[bool, typer.Option("--large", help="Train a teacher: 256 x 256, the whole trunk.")] = False,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs.")] = 60,
    views: Annotated[int, typer.Option(min=1, help="Crops an epoch.")] = 2048,
    batch: Annotated[int, typer.Option(min=2, help="Crops a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(min=0, help="Its peak.")] = 3e-3,
    bfloat16: Annotated[bool, typer.Option(help="Half the bits where it helps.")] = True,
    threads: Annotated[
        int, typer.Option(min=1, max=MOST_THREADS, help="CPU threads; beside other work one is fastest.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Everything random hangs on it.")] = 20261129,
) -> None:
    """Train the network that a sensor runs, or with --large a teacher for it.

    Prompts are drawn anew for every crop: boxes tight and loose, one point, several, points beside the thing.

    Example: narrows promptable train --source coco-panoptic:data/coco:train2017:4
    --source regions:data/regions:train:1:parts --run runs/fold-0 --fold 0 --pretrained efficientnet-lite0.pth
    """
    from narrows.models.promptable.config import PromptableConfig, Source
    from narrows.models.promptable.train import train_promptable

    config = PromptableConfig(
        sources=tuple(Source.parse(each) for each in source),
        fold=fold,
        pretrained=pretrained,
        begin_from=begin_from,
        teacher=teacher,
        taught_share=taught_share,
        large=large,
        epochs=epochs,
        views=views,
        batch=batch,
        learning_rate=learning_rate,
        bfloat16=bfloat16,
        threads=threads,
        seed=seed,
    )
    checkpoint = train_promptable(config, run, typer.echo)
    typer.echo(f"done: {checkpoint}; next: narrows promptable export --run {run} --source {source[0]} --out sensor")


@promptable.command()
def export(
    *,
    run: Annotated[Path, typer.Option(help="Run folder of `narrows promptable train`.")],
    source: Sources,
    out: Annotated[Path, typer.Option(callback=folder_to_write, help="Folder to write.")],
) -> None:
    """Write what a sensor's converter is given: float and int8 ONNX, reports, flat weights, golden vectors.

    The int8 graph is calibrated on pictures of the sources that the network was trained on.

    Example: narrows promptable export --run runs/fold-0 --source coco-panoptic:data/coco:train2017 --out sensor
    """
    from narrows.models.promptable.config import Source
    from narrows.models.promptable.export import export_sensor
    from narrows.models.promptable.run import load_trained

    export_sensor(load_trained(run), [Source.parse(each) for each in source], out, typer.echo)
