"""``narrows export``: a run folder becomes a bundle, and the bundle a Triton model repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Option(help="Run folder of `narrows train`.")],
    data: Annotated[Path, typer.Option(help="Labelled folder that the tables are counted on.")],
    out: Annotated[Path, typer.Option(help="Bundle folder to write.")],
    name: Annotated[str, typer.Option(help="The bundle's name.")] = "camvid-lite0",
    version: Annotated[str, typer.Option(help="The bundle's version.")] = "1",
    split: Annotated[str, typer.Option(help="Split to count on: the one trained on.")] = "train",
    leave_out: Annotated[str | None, typer.Option(help="Samples never to see, as in `narrows train`.")] = None,
    check_split: Annotated[str | None, typer.Option(help="Split to report the int8/float gap on.")] = None,
    licence: Annotated[str, typer.Option(help="Terms of the data and so of the weights.")] = "unstated",
    provenance: Annotated[str, typer.Option(help="Where data and pretrained weights come from.")] = "unstated",
    model_repository: Annotated[Path, typer.Option(help="Triton repository to fill.")] = Path("model_repository"),
    *,
    camera_masks: Annotated[
        bool, typer.Option(help="Add what cameras make masks with, where accuracy holds; a bundle of schema 2.")
    ] = True,
) -> None:
    """Write encoder and decoder (float, and int8 where accuracy holds), tables, manifest; fill the model repository.

    Example: narrows export --run runs/camvid --data data/camvid --out bundles/camvid --check-split val
    """
    from narrows.cli.evaluate import show_progress
    from narrows.contract.errors import BundleError
    from narrows.models.dataset import FolderDataset
    from narrows.models.evaluation.evaluate import evaluate_bundle
    from narrows.models.export.camera_masks import add_camera_masks
    from narrows.models.export.labelling import Labelling
    from narrows.models.export.write import write_bundle
    from narrows.models.training.run import CHECKPOINT, load_checkpoint
    from narrows.ops.camera_packets import camera
    from narrows.runtime.triton_config import fill_repository

    network = load_checkpoint(run / CHECKPOINT)
    label = Labelling(name, version, licence, provenance)
    counted = FolderDataset.open(data, split)
    if leave_out is not None:
        counted = counted.without(leave_out)
    bundle = write_bundle(network, counted, label, out, typer.echo)
    if camera_masks:
        try:
            bundle = add_camera_masks(bundle, counted, out, typer.echo)
        except BundleError as error:
            typer.echo(str(error))
    fill_repository(bundle, model_repository)
    typer.echo(f"bundle {bundle.hex_id} in {out}; Triton model in {model_repository}")
    for index, level in enumerate(bundle.manifest.levels):
        typer.echo(f"  level {index}: {level.bits_per_pixel:.4f} bits per pixel on {split}")
    if check_split is not None:
        chosen = bundle.manifest.finest_level_within(0.1)
        checked = FolderDataset.open(data, check_split)
        scores = {
            kind: evaluate_bundle(
                bundle,
                checked,
                chosen,
                encode=camera(bundle, chosen, path),
                decoder=bundle.decoder_path,
                progress=show_progress,
            )
            for kind, path in (("float", bundle.float_encoder_path), ("int8", bundle.encoder_path))
        }
        for kind, score in scores.items():
            typer.echo(f"  {kind}: {score.miou:.2%} mIoU at {score.bits_per_pixel:.4f} bits per pixel on {check_split}")
        typer.echo(f"  int8 costs {100 * (scores['float'].miou - scores['int8'].miou):.2f} points of mIoU")
        if bundle.int8_decoder is not None:
            rough = evaluate_bundle(
                bundle,
                checked,
                chosen,
                encode=camera(bundle, chosen, bundle.encoder_path),
                decoder=bundle.int8_decoder_path,
                progress=show_progress,
            )
            typer.echo(f"  the int8 decoder for engines costs {100 * (scores['int8'].miou - rough.miou):.2f} more")
