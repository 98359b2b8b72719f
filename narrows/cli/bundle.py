"""``narrows bundle``: look into bundles, install them, count tables anew, quantise, let cameras make masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.group import command_group
from narrows.cli.saying import say
from narrows.cli.written_paths import folder_to_write

bundle = command_group("Look into a bundle, install it, add to it.")


@bundle.command()
def show(folder: Annotated[Path, typer.Argument(help="Bundle folder.")] = Path("bundles/demo")) -> None:
    """Verify a bundle's files and print what it is.

    Example: narrows bundle show bundles/demo
    """
    from narrows.contract.bundle import SplitBundle, open_bundle
    from narrows.contract.bundle.int8_decoder import DECODER_CPU, DECODER_INT8

    opened = open_bundle(folder)
    if isinstance(opened, SplitBundle):
        from narrows.cli.split_export import print_bundle

        print_bundle(opened)
        return
    manifest = opened.manifest
    say(f"{manifest.name} {manifest.version}  id {opened.hex_id}")
    say(f"  pictures   {manifest.input.width} x {manifest.input.height}")
    say(f"  latent     {' x '.join(map(str, manifest.latent.as_tuple()))} symbols, {manifest.coding_order}")
    say(f"  cuts       {', '.join(cut.name for cut in manifest.cuts)}")
    say(f"  classes    {', '.join(manifest.classes)}")
    for output in opened.outputs:
        head = opened.heads.head(output.name)
        of_head = f", head {head.version}, not part of the id" if head else ""
        say(f"  output     {output.name}: {output.kind}, {output.dtype} {' x '.join(map(str, output.shape))}{of_head}")
    for index, level in enumerate(manifest.levels):
        say(f"  level {index}    {level.bits_per_pixel:.4f} bits per pixel on the counting set")
    for name, entry in manifest.files.items():
        here = "" if (folder / name).is_file() else "  (left out here)"
        say(f"  {name:20} {entry.size_bytes:>10,} bytes{here}")
    for name, twin in ((DECODER_INT8, opened.int8_decoder), (DECODER_CPU, opened.cpu_decoder)):
        if twin is None:
            continue
        say(f"  {name:20} {twin.size_bytes:>10,} bytes, not part of the id")
        say(f"  int8       loses at most {max(twin.points_lost):.2f} points of mIoU on {twin.held_out_frames} frames")
    tables = opened.label_tables
    say(f"  masks      {'made in the cloud and at cameras' if opened.has_camera_decoder else 'made in the cloud'}")
    say(f"  labels     coded with {'the general tables' if tables is None else f'tables {tables.id:016x}'}")
    say(f"  licence    {manifest.licence}")
    say(f"  provenance {manifest.provenance}")


@bundle.command()
def verify(folder: Annotated[Path, typer.Argument(help="Bundle folder.")]) -> None:
    """Exit 0 if every file is the one that the manifest pins, else say which is not.

    Example: narrows bundle verify bundles/demo
    """
    from narrows.contract.bundle import open_bundle

    print(f"{open_bundle(folder).hex_id} is whole")


@bundle.command()
def install(
    folders: Annotated[list[Path], typer.Argument(envvar="NARROWS_BUNDLE", help="Bundle folders.")],
    *,
    model_repository: Annotated[Path, typer.Option(help="Triton repository to fill.")] = Path("model_repository"),
) -> None:
    """Copy the decoders of bundles into Triton's model repository, with their configurations for GPU and CPU.

    Models of other bundles that are there stay: a canary or a rollback may need them.

    Example: narrows bundle install bundles/demo

    Example: narrows bundle install bundles/2026-10 bundles/2026-11 --model-repository /srv/models
    """
    from narrows.contract.bundle import models_of, open_bundle
    from narrows.runtime.triton_config import fill_repository

    for opened in [open_bundle(folder) for folder in folders]:
        for model in models_of(opened):
            print(fill_repository(model, model_repository))


@bundle.command()
def recount(
    folder: Annotated[Path, typer.Argument(help="Bundle folder.")],
    *,
    data: Annotated[Path, typer.Option(help="Labelled folder to count on.")],
    out: Annotated[Path, typer.Option(callback=folder_to_write, help="Bundle folder to write.")],
    split: Annotated[str, typer.Option(help="Split to count on: the one trained on.")] = "train",
) -> None:
    """Copy a bundle with its tables counted anew, for K and for P packets. The networks stay; the id changes.

    Example: narrows bundle recount bundles/demo --data data/camvid --out bundles/recounted
    """
    from narrows.contract.bundle import Bundle
    from narrows.models.dataset import FolderDataset
    from narrows.models.export.recount import recount as count_anew

    print(f"bundle {count_anew(Bundle.open(folder), FolderDataset.open(data, split), out).hex_id} in {out}")


@bundle.command()
def quantise(
    folder: Annotated[Path, typer.Argument(help="Bundle folder; up to four files are added to it.")],
    *,
    data: Annotated[Path, typer.Option(help="Labelled folder to calibrate and judge on.")],
    split: Annotated[str, typer.Option(help="Split to calibrate and judge on: the one trained on.")] = "train",
) -> None:
    """Give a bundle its decoder in int8, where accuracy holds: for INT8 engines, and for processors to run.

    Each is measured first: the one for engines may lose half a point of mIoU, the one for processors a tenth. The id
    stays; cameras notice nothing. Install the bundle again where it is served.

    Example: narrows bundle quantise bundles/demo --data data/camvid
    """
    from narrows.contract.bundle import Bundle
    from narrows.models.dataset import FolderDataset
    from narrows.models.export.quantise import add_int8_decoders

    add_int8_decoders(Bundle.open(folder), FolderDataset.open(data, split))


@bundle.command()
def optimise(
    folder: Annotated[Path, typer.Argument(help="Bundle folder.")],
    *,
    data: Annotated[Path, typer.Option(help="Labelled folder to compare masks on.")],
    out: Annotated[Path, typer.Option(callback=folder_to_write, help="Bundle folder to write; may be the same.")],
    split: Annotated[str, typer.Option(help="Split to compare on: the one trained on.")] = "train",
) -> None:
    """Make a bundle's decoder faster on processors, where masks stay as they are; its int8 twin is made anew.

    For bundles of earlier versions: `narrows export` does it by itself. The id changes where it pins the decoder.

    Example: narrows bundle optimise bundles/demo --data data/camvid --out bundles/faster
    """
    from narrows.contract.bundle import Bundle
    from narrows.models.dataset import FolderDataset
    from narrows.models.export.optimise import optimise as make_faster

    made = make_faster(Bundle.open(folder), FolderDataset.open(data, split), out, typer.echo)
    print(f"bundle {made.hex_id} in {out}; install its decoder where it is served: narrows bundle install {out}")


@bundle.command("camera-masks")
def camera_masks(
    folder: Annotated[Path, typer.Argument(help="Bundle folder.")],
    *,
    data: Annotated[Path, typer.Option(help="Labelled folder to calibrate, judge and count on.")],
    out: Annotated[Path, typer.Option(callback=folder_to_write, help="Bundle folder to write; may be the same.")],
    split: Annotated[str, typer.Option(help="Split to use: the one trained on.")] = "train",
) -> None:
    """Add what cameras make masks with: an int8 decoder, and label tables counted on its masks. The id changes.

    Example: narrows bundle camera-masks bundles/demo --data data/camvid --out bundles/with-masks
    """
    from narrows.contract.bundle import Bundle
    from narrows.models.dataset import FolderDataset
    from narrows.models.export.camera_masks import add_camera_masks

    made = add_camera_masks(Bundle.open(folder), FolderDataset.open(data, split), out, typer.echo)
    print(f"bundle {made.hex_id} in {out}; install its decoder where it is served: narrows bundle install {out}")
