"""``narrows head``: a bundle's further outputs, read from the same symbols. No camera is touched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.group import command_group
from narrows.cli.number_options import MOST_SEED, MOST_THREADS

if TYPE_CHECKING:
    from narrows.contract.bundle import Bundle

head = command_group("Train, add, remove and list a bundle's heads: further outputs from the same symbols.")
BundleFolder = Annotated[Path, typer.Option(help="Bundle folder.", envvar="NARROWS_BUNDLE")]
Repository = Annotated[
    Path | None,
    typer.Option(help="Triton repository to fill as well: running dispatchers load the model from there."),
]
DEMO = Path("bundles/demo")
EXTRA = "train"
"""What all of these but ``list`` need."""


@head.command()
def train(
    name: Annotated[str, typer.Argument(help="Name of the head and of its output: lower case, digits, _.")],
    *,
    data: Annotated[Path, typer.Option(help="Labelled folder; `narrows pseudo-label` writes one.")],
    run: Annotated[Path, typer.Option(help="Run folder; a run that was stopped goes on.")],
    bundle: BundleFolder = DEMO,
    split: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    check_split: Annotated[
        str | None, typer.Option(help="Split to compare the head with, at every rate level.")
    ] = None,
    width: Annotated[int, typer.Option(min=1, max=4096, help="Channels of the hidden layer.")] = 64,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the positions drawn.")] = 30,
    points: Annotated[int, typer.Option(min=1, help="Positions drawn of each frame and of its mirror image.")] = 1000,
    balance: Annotated[float, typer.Option(min=0, max=1, help="How much rare classes weigh more; 0: not.")] = 0.5,
    threads: Annotated[int, typer.Option(min=1, max=MOST_THREADS, help="CPU threads.")] = 1,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Everything random hangs on it.")] = 20260720,
    provenance: Annotated[str, typer.Option(help="Said in the head's record: data, teacher, terms.")] = "",
) -> None:
    """Train a label map from a bundle's frozen encoder: symbols are made once, the head alone learns.

    Example: narrows head train cityscapes --data data/cityscapes-labels --run runs/cityscapes --check-split val
    """
    from narrows.contract.bundle import Bundle
    from narrows.models.dataset import FolderDataset
    from narrows.models.heads.evaluate import compare
    from narrows.models.heads.train import HEAD_GRAPH, HeadConfig, train_head

    opened = Bundle.open(bundle)
    config = HeadConfig(
        name=name,
        width=width,
        epochs=epochs,
        points=points,
        balance=balance,
        threads=threads,
        seed=seed,
        provenance=provenance,
    )
    trained = train_head(opened, FolderDataset.open(data, split), config, run, typer.echo)
    if check_split is not None:
        found = compare(opened, trained, run / HEAD_GRAPH, FolderDataset.open(data, check_split))
        for level, row in enumerate(found):
            typer.echo(f"  level {level}: {row.agreement:.2%} of pixels agree, {row.miou:.2%} mIoU on {check_split}")
    typer.echo(f"done: {name} {trained.version}, {trained.file.size_bytes:,} bytes; next: narrows head add {run}")


@head.command()
def add(
    source: Annotated[Path, typer.Argument(help="Run folder of `narrows head train`: head.onnx and head.json.")],
    *,
    bundle: BundleFolder = DEMO,
    model_repository: Repository = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of the head of that name.")] = False,
) -> None:
    """Add a head to a bundle. The bundle's id stays, and running dispatchers that read this folder take it up.

    Example: narrows head add runs/cityscapes --bundle bundles/demo --model-repository model_repository
    """
    from narrows.contract.bundle import Bundle
    from narrows.models.heads.change import add_head

    changed = add_head(Bundle.open(bundle), source, renew=replace)
    _install(changed, model_repository)
    _print(changed)


@head.command()
def remove(
    name: Annotated[str, typer.Argument(help="Name of the head.")],
    *,
    bundle: BundleFolder = DEMO,
    model_repository: Repository = None,
) -> None:
    """Remove a head from a bundle. The bundle's id stays, and running dispatchers no longer ask for it.

    Example: narrows head remove cityscapes --bundle bundles/demo --model-repository model_repository
    """
    from narrows.contract.bundle import Bundle
    from narrows.models.heads.change import remove_head

    changed = remove_head(Bundle.open(bundle), name)
    _install(changed, model_repository)
    _print(changed)


@head.command(name="list")
def list_heads(bundle: BundleFolder = DEMO) -> None:
    """Print a bundle's outputs: the decoder's own, and its heads with their versions.

    Example: narrows head list --bundle bundles/demo
    """
    from narrows.contract.bundle import Bundle

    _print(Bundle.open(bundle))


def _install(bundle: Bundle, repository: Path | None) -> None:
    from narrows.runtime.triton_config import fill_repository

    if repository is not None:
        typer.echo(f"filled {fill_repository(bundle, repository)}")


def _print(bundle: Bundle) -> None:
    typer.echo(f"bundle {bundle.hex_id}")
    for output in bundle.outputs:
        found = bundle.heads.head(output.name)
        of = "of the decoder" if found is None else f"head {found.version}, {found.file.size_bytes:,} bytes"
        typer.echo(f"  {output.name}: {output.kind}, {len(output.classes)} classes, {of}")
        if found is not None and found.provenance:
            typer.echo(f"    {found.provenance}")
