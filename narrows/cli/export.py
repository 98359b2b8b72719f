"""``narrows export``: a run folder becomes a bundle, and the bundle a Triton model repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.written_paths import folder_to_write

if TYPE_CHECKING:
    from narrows.contract.bundle import Bundle
    from narrows.models.evaluation.score import Evaluation


def export(
    run: Annotated[Path, typer.Option(help="Run folder of `narrows train`.")],
    data: Annotated[Path, typer.Option(help="Labelled folder that the tables are counted on.")],
    out: Annotated[Path, typer.Option(callback=folder_to_write, help="Bundle folder to write.")],
    name: Annotated[str, typer.Option(help="The bundle's name.")] = "camvid-lite0",
    version: Annotated[str, typer.Option(help="The bundle's version.")] = "1",
    split: Annotated[str, typer.Option(help="Split to count on: the one trained on.")] = "train",
    leave_out: Annotated[
        str | None, typer.Option(help="Samples not to count on either, beside those that the run left out.")
    ] = None,
    check_split: Annotated[str | None, typer.Option(help="Split to report the int8/float gap on.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="Terms of the data and so of the weights.", show_default="as the run's")
    ] = None,
    provenance: Annotated[str, typer.Option(help="Where data and pretrained weights come from.")] = "unstated",
    model_repository: Annotated[Path, typer.Option(help="Triton repository to fill.")] = Path("model_repository"),
    *,
    camera_masks: Annotated[
        bool, typer.Option(help="Add what cameras make masks with, where accuracy holds; a bundle of schema 2.")
    ] = True,
) -> None:
    """Write encoder and decoder (float, int8 where accuracy holds), tables, manifest, model card; fill the repository.

    Example: narrows export --run runs/camvid --data data/camvid --out bundles/camvid --check-split val
    """
    from narrows.contract.errors import BundleError
    from narrows.models.dataset import FolderDataset
    from narrows.models.export.camera_masks import add_camera_masks
    from narrows.models.export.labelling import Labelling
    from narrows.models.export.write import write_bundle
    from narrows.models.training.config import TrainingConfig
    from narrows.models.training.model_card import MODEL_CARD, write_bundle_card
    from narrows.models.training.run import CHECKPOINT, load_checkpoint
    from narrows.models.training.run_folder import CONFIG
    from narrows.runtime.triton_config import fill_repository

    network = load_checkpoint(run / CHECKPOINT)
    trained = TrainingConfig.read(run / CONFIG)
    label = Labelling(name, version, licence or trained.licence, provenance)
    counted = FolderDataset.open(data, split).without(trained.leave_out).without_named(leave_out)
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
    judged = [] if check_split is None else _judge(bundle, data, check_split)
    write_bundle_card(bundle, run, label, judged)
    typer.echo(f"model card: {out / MODEL_CARD}")


def _judge(bundle: Bundle, data: Path, split: str) -> list[tuple[str, Evaluation]]:
    """Judge float and int8 at the finest level of at most a tenth of a bit per pixel, and print what int8 costs."""
    from narrows.cli.evaluate import show_progress
    from narrows.models.dataset import FolderDataset
    from narrows.models.evaluation.evaluate import evaluate_bundle
    from narrows.ops.camera_packets import camera

    level = bundle.manifest.finest_level_within(0.1)
    checked = FolderDataset.open(data, split)

    def judged(encoder: Path, decoder: Path) -> Evaluation:
        encode = camera(bundle, level, encoder)
        return evaluate_bundle(bundle, checked, level, encode=encode, decoder=decoder, progress=show_progress)

    scores = {
        "float encoder": judged(bundle.float_encoder_path, bundle.decoder_path),
        "int8 encoder": judged(bundle.encoder_path, bundle.decoder_path),
    }
    if bundle.int8_decoder is not None:
        scores["int8 encoder, int8 decoder for engines"] = judged(bundle.encoder_path, bundle.int8_decoder_path)
    for kind, score in scores.items():
        typer.echo(f"  {kind}: {score.miou:.2%} mIoU at {score.bits_per_pixel:.4f} bits per pixel on {split}")
    typer.echo(f"  int8 costs {100 * (scores['float encoder'].miou - scores['int8 encoder'].miou):.2f} points of mIoU")
    return [(f"split `{split}`, level {level}, {kind}", score) for kind, score in scores.items()]
