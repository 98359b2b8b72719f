"""What makes a bundle smaller: pruning, PTQ, QAT and distillation, each alone and combined.

Each is trained for the same epochs on the same pictures, exported to int8, and judged through the real coder. What is
finished is kept in the run folder; a run that was stopped goes on.

Example: python -m benchmarks.compress --data ../shared/data/camvid --run runs/bench-compress
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.frontier.train import DATA
from benchmarks.rate.progress import say
from benchmarks.record import write_result
from benchmarks.resumable import resumable
from narrows.contract.bundle import Bundle
from narrows.contract.errors import ConfigError, PrecisionRefused
from narrows.models.compression.compress import Compression, compress
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation.evaluate import evaluate_bundle
from narrows.models.export.cost import count_convolutions
from narrows.models.export.four_bit import check_four_bit_convolutions
from narrows.models.export.resources import count_resources
from narrows.models.split.device import Effort, Local
from narrows.models.training.run_folder import CONFIG, keep_settings
from narrows.ops.camera_packets import camera
from narrows.runtime.writing import write_file

PRUNED = 0.15
LEVEL = 1


def variants(epochs: int) -> tuple[Compression, ...]:
    """The table's rows: each alone, then combined. Without a training, PTQ is all that can be done."""
    base = Compression(epochs=epochs)
    return (
        replace(base, epochs=0),
        base,
        replace(base, quantisation_aware=True),
        replace(base, distil=True),
        replace(base, prune=PRUNED),
        replace(base, prune=PRUNED, distil=True),
        replace(base, prune=PRUNED, quantisation_aware=True, distil=True),
    )


def main() -> int:
    return resumable("bench-compress", _bench)


def _bench() -> None:
    options = _options()
    torch.set_num_threads(1)
    learnt, judged = (FolderDataset.open(options.data, split) for split in ("train", "val"))
    if options.quick:
        learnt, judged = (_some(each, count) for each, count in ((learnt, 8), (judged, 10)))
    bundle, folder = Bundle.open(options.bundle), options.run
    asked = {"bundle": bundle.hex_id, "epochs": options.epochs, "train": learnt.samples, "val": judged.samples}
    keep_settings(folder / CONFIG, asked, begun=(folder / CONFIG).is_file())  # rows that are kept are of these
    known = [(_name(how), how) for how in variants(options.epochs)]
    if options.only:
        if unknown := sorted(set(options.only) - {name for name, _ in known}):
            raise ConfigError(f"--only {unknown[0]!r}: no such row; there are {', '.join(name for name, _ in known)}")
        known = [each for each in known if each[0] in options.only]
    rows = [reference(bundle, judged)]
    rows += [row(name, how, bundle, learnt, judged, folder) for name, how in known]
    result = {"level": LEVEL, "frames": len(judged), "epochs": options.epochs, "rows": rows, "four_bit": _four_bit()}
    _print(result)
    if not options.quick and not options.only:
        print(write_result("compress", "make bench-compress", result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-compress", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="labelled folder")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--run", type=Path, help="run folder (default runs/bench-compress)")
    parser.add_argument("--epochs", type=int, help="of each training (default 6)")
    parser.add_argument("--only", nargs="*", help="these rows alone; writes no result")
    parser.add_argument("--quick", action="store_true", help="an epoch of 8 pictures: does all of it run?")
    options = parser.parse_args()
    options.run = options.run or Path("runs/bench-compress-quick" if options.quick else "runs/bench-compress")
    options.epochs = options.epochs or (1 if options.quick else 6)
    return options


def _some(data: FolderDataset, count: int) -> FolderDataset:
    return replace(data, names=data.names[:: max(1, len(data.names) // count)][:count])


def _name(how: Compression) -> str:
    trained = how.epochs and not (how.quantisation_aware or how.distil or how.prune)
    return f"trained on + {how.name}" if trained else how.name


def reference(bundle: Bundle, judged: FolderDataset) -> dict[str, Any]:
    """The bundle as it is."""
    return {"name": "the bundle as it is", **_scores(bundle, judged), "float_miou": None}


def row(
    name: str, how: Compression, bundle: Bundle, learnt: FolderDataset, judged: FolderDataset, folder: Path
) -> dict[str, Any]:
    """What one way makes of the bundle."""
    here = folder / "".join(c if c.isalnum() else "-" for c in name)
    path = here / "row.json"
    if not path.is_file():
        say(name)
        shutil.rmtree(here / "bundle", ignore_errors=True)
        small = compress(bundle, learnt, how, here, here / "bundle", say)
        found = _scores(small, judged)
        exact = evaluate_bundle(small, judged, LEVEL, encode=camera(small, LEVEL, small.float_encoder_path))
        found["peak_mb"] = count_resources(small.float_encoder_path).peak_bytes / 1e6
        write_file(path, json.dumps({"name": name, **found, "float_miou": exact.miou}))
    kept: dict[str, Any] = json.loads(path.read_text())
    return kept


def _scores(bundle: Bundle, judged: FolderDataset) -> dict[str, Any]:
    score = evaluate_bundle(bundle, judged, LEVEL, encode=camera(bundle, LEVEL, bundle.encoder_path))
    data = bundle.encoder_path.read_bytes()
    measured = Local().measure(data, Effort(runs=10, seconds=1.0))
    return {
        "miou": score.miou,
        "bits_per_pixel": score.bits_per_pixel,
        "encoder_mb": len(data) / 1e6,
        "encoder_gmac": count_convolutions(bundle.encoder_path) / 1e9,
        "encoder_ms": 1e3 * measured.processor_s,
        "rss_mb": _mb(measured.record.get("rss_peak_bytes")),
        "peak_mb": None,
    }


def _mb(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else size_bytes / 1e6


def _four_bit() -> str:
    try:
        check_four_bit_convolutions()
    except PrecisionRefused as error:
        return str(error)
    return "executed"


def _print(result: Mapping[str, Any]) -> None:
    print(f"{'':<32} {'int8':>7} {'float':>7} {'bpp':>7} {'MB':>6} {'GMAC':>6} {'ms':>7} {'peak MB':>8}")
    for each in result["rows"]:
        exact = "" if each["float_miou"] is None else f"{each['float_miou']:.2%}"
        peak = "" if each["peak_mb"] is None else f"{each['peak_mb']:.2f}"
        print(f"{each['name']:<32} {each['miou']:>7.2%} {exact:>7} {each['bits_per_pixel']:>7.4f}", end=" ")
        print(f"{each['encoder_mb']:>6.2f} {each['encoder_gmac']:>6.2f} {each['encoder_ms']:>7.1f} {peak:>8}")
    print(f"8/4 bits: {result['four_bit']}")


if __name__ == "__main__":
    raise SystemExit(main())
