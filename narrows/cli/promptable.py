"""``narrows promptable``: the small network that outlines what is pointed at."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.evaluate import show_progress
from narrows.cli.group import command_group

promptable = command_group("Outline one thing that is pointed at, and say how well that is done.")


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


@promptable.command()
def evaluate(
    data: Annotated[Path, typer.Option(help="Data set folder.")],
    layout: Annotated[DataLayout, typer.Option(help="How it lies on disk.")],
    split: Annotated[str, typer.Option(help="Split: train2017, train, trainingset, all ...")],
    prompt: Annotated[Prompting, typer.Option(help="What each thing is pointed at with.")] = Prompting.BOX,
    network: NetworkFile = None,
    fold: Annotated[int | None, typer.Option(min=0, max=4, help="Judge the pictures of this fold alone.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the result here as JSON.")] = None,
) -> None:
    """Point at every thing of a split once and compare its mask with the label, in the source's pixels.

    Floors stand beside it: the box filled, the ellipse in it, a fixed window. A figure without them says nothing.
    Prompts hang on a fixed seed. Folds are by picture.

    Example: narrows promptable evaluate --data data/coco --layout coco-panoptic --split train2017 --prompt box
    """
    from narrows.models.promptable.data import Layout
    from narrows.models.promptable.evaluation import Split, evaluate_split
    from narrows.models.promptable.prompts import PromptKind

    scores, _ = evaluate_split(
        Split(data, Layout(layout.value), split, fold),
        PromptKind(prompt.value),
        network,
        progress=show_progress,
    )
    typer.echo(scores.to_json())
    if network is not None and scores.unseen_fold is not None and fold != scores.unseen_fold:
        print(f"{network} was trained on all but fold {scores.unseen_fold}: --fold judges it fairly", file=sys.stderr)
    if json is not None:
        json.write_text(scores.to_json() + "\n")


@promptable.command()
def segment(
    picture: Annotated[Path, typer.Argument(help="Picture file.")],
    network: Annotated[Path, typer.Option(help="ONNX file of `narrows promptable export`.")],
    box: Annotated[str | None, typer.Option(help="x,y,width,height in pixels.")] = None,
    point: Annotated[list[str] | None, typer.Option(help="x,y on the thing, or x,y,- beside it; repeat.")] = None,
    out: Annotated[Path, typer.Option(help="Picture to write: the mask over the source.")] = Path("prompted.png"),
    mask: Annotated[Path | None, typer.Option(help="Write the mask alone here, PNG, 255 where the thing is.")] = None,
) -> None:
    """Outline one thing in a picture, and paint it over the picture.

    Example: narrows promptable segment street.jpg --network sensor.int8.onnx --box 120,80,200,150 --out seen.png

    Example: narrows promptable segment street.jpg --network sensor.int8.onnx --point 200,140 --point 90,60,-
    """
    from PIL import Image

    from narrows.models.promptable.paint import paint_prompted
    from narrows.runtime.pictures import read_picture
    from narrows.runtime.prompting.parsing import parse_prompt
    from narrows.runtime.prompting.segmenter import PromptSegmenter

    prompt = parse_prompt(box, point or ())
    source = read_picture(picture)
    found = PromptSegmenter.open(network).segment(source, prompt)
    Image.fromarray(paint_prompted(source, found.mask, prompt)).save(out)
    if mask is not None:
        Image.fromarray(found.mask).convert("L").save(mask)
    typer.echo(f"{int(found.mask.sum()):,} of {found.mask.size:,} pixels, {found.passes} passes; see {out}")
