"""A model card (Mitchell et al., "Model Cards for Model Reporting", 2019) of a run, and of the bundle made of it.

It says what a person who deploys the weights asks: which data, on whose terms, which drives they have not seen, what
was chosen and on what, how good it is and on what that was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from narrows.contract.bundle import Bundle
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation.score import Evaluation
from narrows.models.export.labelling import Labelling
from narrows.models.training.check import block_names, drive_of
from narrows.models.training.config import TrainingConfig
from narrows.models.training.origin import Origin
from narrows.models.training.progress import Record, read_records
from narrows.runtime.writing import write_file

MODEL_CARD = "MODEL_CARD.md"
_HEADING_OF_NOTES = "\n## Notes\n"


def write_run_card(run_folder: Path, config: TrainingConfig, dataset: FolderDataset) -> None:
    """Write a run's card; ``dataset`` is the split without what was left out."""
    records = read_records(run_folder)
    sections = [
        f"# {run_folder.name}: model card\n\nA run of `narrows train`, {len(records)} of {config.epochs} epochs.\n",
        *_of_run(config, Origin.read(run_folder), dataset, records),
        f"## Terms\n\n- Licence: {config.licence}.\n",
    ]
    _write(run_folder, sections)


def write_bundle_card(
    bundle: Bundle, run_folder: Path, label: Labelling, judged: Sequence[tuple[str, Evaluation]]
) -> None:
    """Write the card of a bundle that was exported from a run, into the bundle's folder.

    Args:
        bundle: what was exported.
        run_folder: of the run.
        label: terms of the data, and where they come from.
        judged: what was judged, named, and how.

    Raises:
        DatasetError: the data that the run was trained on are no longer there.
    """
    config = TrainingConfig.read(run_folder / "config.json")
    dataset = FolderDataset.open(config.data, config.split).without(config.leave_out)
    sections = [
        f"# {label.name} {label.version}: model card\n",
        _of_bundle(bundle),
        *_of_run(config, Origin.read(run_folder), dataset, read_records(run_folder)),
        _terms(label),
        _judged(judged),
    ]
    assert bundle.folder is not None  # noqa: S101 - it was just written
    _write(bundle.folder, sections)


def _write(folder: Path, sections: Sequence[str]) -> None:
    """Anew, but for what a person wrote: below the heading for it, or a whole card without that heading."""
    path = folder / MODEL_CARD
    notes = "\nWhat is written below this heading stays when the rest is written anew.\n"
    if path.is_file():
        _, heading, notes = path.read_text().partition(_HEADING_OF_NOTES)
        if not heading:
            return
    text = "\n".join(section for section in sections if section)
    write_file(path, text + _HEADING_OF_NOTES + notes)


def _of_bundle(bundle: Bundle) -> str:
    manifest = bundle.manifest
    latent = manifest.latent
    lines = [
        ("bundle", f"`{bundle.hex_id}`"),
        ("pictures", f"{manifest.input.width} x {manifest.input.height}"),
        ("classes", ", ".join(manifest.classes)),
        ("bottleneck", f"{latent.channels} x {latent.height} x {latent.width} symbols, {len(manifest.levels)} levels"),
        ("encoder, int8", f"{bundle.encoder_path.stat().st_size:,} bytes"),
        ("decoder", f"{bundle.decoder_path.stat().st_size:,} bytes"),
    ]
    rates = [(f"level {i}", f"{level.bits_per_pixel:.4f}") for i, level in enumerate(manifest.levels)]
    return "\n".join(
        [
            "## What it is\n",
            _table("part", "what", lines),
            _table("rate", "bits per pixel, on a sample of the training frames", rates),
        ]
    )


def _of_run(config: TrainingConfig, origin: Origin, dataset: FolderDataset, records: Sequence[Record]) -> Iterator[str]:
    yield _data(config, dataset)
    yield _recipe(config, origin)
    yield _checked(records)


def _data(config: TrainingConfig, dataset: FolderDataset) -> str:
    checked = set(block_names(dataset.names, config.check_share))
    drives = sorted({drive_of(name) for name in dataset.names})
    rows = [
        (
            drive or dataset.root.name,
            f"{sum(drive_of(name) == drive and name not in checked for name in dataset.names):,}",
            f"{sum(drive_of(name) == drive for name in checked):,}",
        )
        for drive in drives
    ]
    return "\n".join(
        [
            "## Data\n",
            f"`{dataset.root.name}`, split `{dataset.split}`, {len(dataset.classes.names)} classes.\n",
            _table("drive", "frames trained on | frames that choices were made on", rows),
            f"{_never_seen(config)}\n",
        ]
    )


def _never_seen(config: TrainingConfig) -> str:
    """Of this run; it cannot answer for a network that it got weights or shades of."""
    unseen = f"{_left_out(config)}other splits of the folder."
    lent = [f"`{folder.name}`" for folder in (config.begin_from, config.teacher) if folder is not None]
    if not lent:
        return f"Never seen: {unseen}"
    told = f"What {' and '.join(lent)} was trained on is in its own card: it may have seen them."
    return f"Never seen by this run: {unseen} {told}"


def _left_out(config: TrainingConfig) -> str:
    if config.leave_out is None:
        return ""
    whole = FolderDataset.open(config.data, config.split)
    frames = len(whole) - len(whole.without(config.leave_out))
    return f"`{config.leave_out}` ({frames:,} frames of this split), and "


def _recipe(config: TrainingConfig, origin: Origin) -> str:
    began = origin.begun_from or (config.begin_from and f"{config.begin_from}, as it was then") or config.pretrained
    rows = [
        ("began from", str(began.name if isinstance(began, Path) else began or "random weights")),
        *((f"epochs at {p.size[0]} x {p.size[1]}", str(p.epochs)) for p in config.phases if p.epochs),
        ("bad pictures (noise, blur, dark, glare, rain, JPEG)", f"{config.bad_share:.0%} of the views"),
        ("teacher", "none" if config.teacher is None else f"{config.teacher.name}, share {config.teacher_share:g}"),
        ("loss", f"cross-entropy, soft Jaccard ({config.overlap_share:g}), rate ({len(config.prices)} prices)"),
        ("batch norms frozen", _yes(config.frozen_norms)),
        ("quantisation-aware", _yes(config.quantisation_aware)),
        ("learning rate, batch, seed", f"{config.learning_rate:g}, {config.batch}, {config.seed}"),
        ("code", "; ".join(origin.code) or "not recorded"),
    ]
    return "\n".join(
        [
            "## How it was made\n",
            _table("choice", "here", rows),
            "Every setting is in the run's `config.json`; `make bench-ablations` measures what these are worth.\n",
        ]
    )


def _checked(records: Sequence[Record]) -> str:
    checks = [record for record in records if any(name.startswith("miou") for name in record)]
    if not checks:
        return ""
    last = checks[-1]
    rows = [*_scores(last, "miou", ""), *_scores(last, "bad_miou", ", bad pictures")]
    told = f"After epoch {last['epoch']}, float, on the frames kept for it; training saw others of their drives.\n"
    return "\n".join(["## What it was chosen by\n", told, _table("rate", "mIoU | bits per pixel", rows)])


def _scores(record: Record, prefix: str, told: str) -> Iterator[tuple[str, str]]:
    for name in sorted(record):
        if name.startswith(prefix):
            bits = record[name.replace("miou", "checked_bpp")]
            yield f"level {name.removeprefix(prefix)}{told}", f"{record[name]:.1%} | {bits:.4f}"


def _terms(label: Labelling) -> str:
    return f"## Terms\n\n- Licence: {label.licence}.\n- Data and weights: {label.provenance}.\n"


def _judged(judged: Sequence[tuple[str, Evaluation]]) -> str:
    if not judged:
        return ""
    rows = [(name, f"{each.frames} | {each.miou:.2%} | {each.bits_per_pixel:.4f}") for name, each in judged]
    return "\n".join(["## How good it is\n", _table("judged", "frames | mIoU | bits per pixel", rows)])


def _yes(value: bool) -> str:  # noqa: FBT001 - a value to print
    return "yes" if value else "no"


def _table(first: str, rest: str, rows: Sequence[tuple[str, ...]]) -> str:
    head = f"| {first} | {rest} |"
    rule = "|" + " --- |" * (head.count("|") - 1)
    return "\n".join([head, rule, *(f"| {' | '.join(row)} |" for row in rows), ""])
