from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from narrows.cli.root import app
from narrows.contract.bundle import Bundle
from narrows.contract.errors import BundleError
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation.score import Evaluation
from narrows.models.export.labelling import Labelling
from narrows.models.export.write import write_bundle
from narrows.models.training.config import TrainingConfig
from narrows.models.training.loop import train
from narrows.models.training.model_card import MODEL_CARD, write_bundle_card, write_run_card
from narrows.models.training.origin import Origin, code_version, keep_origin
from narrows.models.training.run import load_checkpoint
from tests.workshop.training.conftest import four_pictures
from tests.workshop.training.small_run import config

LABEL = Labelling("tiny", "7", "CC0", "drawn by a test")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As other tests have it, once for all of these."""
    return four_pictures(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that left a frame out, and measured on some."""
    folder = tmp_path_factory.mktemp("card") / "run"
    left_out = FolderDataset.open(data, "train").names[0]
    asked = replace(config(data, 1), leave_out=left_out, check_share=0.5, licence="CC BY 4.0")
    train(asked, folder, lambda _: None)
    return folder


@pytest.fixture(scope="module")
def bundle(run: Path, data: Path) -> Bundle:
    checkpoint = load_checkpoint(run / "checkpoint.pt")
    return write_bundle(checkpoint, FolderDataset.open(data, "train"), LABEL, run.parent / "bundle", lambda _: None)


def test_a_runs_card_counts_what_was_trained_on_measured_on_and_left_out(run: Path, data: Path) -> None:
    card = (run / MODEL_CARD).read_text()
    frames = len(FolderDataset.open(data, "train")) - 1
    kept = round(frames * 0.5)
    assert f"| {frames - kept} | {kept} |" in card
    assert f"Never seen: `{FolderDataset.open(data, 'train').names[0]}` (1 frames of this split)" in card
    assert "1 of 1 epochs" in card
    assert code_version() in card
    assert "| level 1, bad pictures |" in card
    assert "- Licence: CC BY 4.0." in card


@pytest.mark.parametrize("lent", ["begin_from", "teacher"])
def test_a_card_does_not_answer_for_what_it_began_from_or_was_taught_by(
    lent: str, run: Path, bundle: Bundle, data: Path, tmp_path: Path
) -> None:
    assert bundle.folder is not None
    taught = replace(TrainingConfig.read(run / "config.json"), **{lent: bundle.folder})  # type: ignore[arg-type]  # of two fields
    dataset = FolderDataset.open(data, "train").without(taught.leave_out)
    (tmp_path / "run").mkdir()
    write_run_card(tmp_path / "run", taught, dataset)
    card = (tmp_path / "run" / MODEL_CARD).read_text()
    assert "Never seen by this run: `s0` (1 frames of this split), and other splits of the folder." in card
    assert f"What `{bundle.folder.name}` was trained on is in its own card: it may have seen them." in card


def test_what_a_run_left_out_is_not_counted_or_calibrated_on_either_and_its_terms_hold(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []

    def write(_network: object, samples: FolderDataset, label: Labelling, *_: object) -> Bundle:
        counted.extend([*samples.names, label.licence])
        raise BundleError("no bundle is wanted here")

    monkeypatch.setattr("narrows.models.export.write.write_bundle", write)
    asked = ["export", "--run", str(run), "--data", str(data), "--out", str(tmp_path / "out"), "--leave-out", "s3"]
    assert CliRunner().invoke(app, asked).exit_code == 1
    assert counted == ["s1", "s2", "CC BY 4.0"]


def test_a_bundles_card_says_terms_rates_and_what_was_judged(run: Path, bundle: Bundle) -> None:
    score = Evaluation(bundle.hex_id, 0, "here", 12, 0.512, 0.9, 0.0421, {})
    write_bundle_card(bundle, run, LABEL, [("split `val`, level 0", score)])
    assert bundle.folder is not None
    card = (bundle.folder / MODEL_CARD).read_text()
    assert card.startswith("# tiny 7: model card\n")
    for told in (bundle.hex_id, "CC0", "drawn by a test", "| split `val`, level 0 | 12 | 51.20% | 0.0421 |"):
        assert told in card
    assert f"| level 1 | {bundle.manifest.levels[1].bits_per_pixel:.4f} |" in card
    rows = [line for line in card.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {3, 4, 5}


def test_what_a_person_added_to_a_card_is_kept(run: Path, bundle: Bundle) -> None:
    assert bundle.folder is not None
    write_bundle_card(bundle, run, LABEL, [])
    card = bundle.folder / MODEL_CARD
    head, _ = card.read_text().split("## Notes\n")
    card.write_text(f"{head}## Notes\n\nPoles are missed at dusk.\n")
    write_bundle_card(bundle, run, replace(LABEL, version="8"), [])
    assert card.read_text().startswith("# tiny 8")
    assert card.read_text().endswith("## Notes\n\nPoles are missed at dusk.\n")


def test_a_card_written_without_that_heading_is_kept_whole(run: Path, bundle: Bundle) -> None:
    assert bundle.folder is not None
    card = bundle.folder / MODEL_CARD
    card.write_text("# My card\n\nBy hand.\n")
    write_bundle_card(bundle, run, LABEL, [])
    assert card.read_text() == "# My card\n\nBy hand.\n"
    card.unlink()


def test_a_run_keeps_what_it_began_from_and_each_code_once(bundle: Bundle, tmp_path: Path) -> None:
    keep_origin(tmp_path, Path("bundles/demo"), begun=False)  # killed before its first epoch, and begun anew
    keep_origin(tmp_path, bundle.folder, begun=False)
    keep_origin(tmp_path, tmp_path / "another that is there no longer", begun=True)
    assert Origin.read(tmp_path) == Origin((code_version(),), f"tiny 7 ({bundle.hex_id})")
