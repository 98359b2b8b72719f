"""Rate, accuracy and cost of every method that ``make train-rate-table`` trained, in one run.

Example: python -m benchmarks.rate --run runs/rate --data ../shared/data/camvid
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.rate import assemble
from benchmarks.rate.claims import BELOW_UNCOMPRESSED, bounds_of, claims_of, savings_of, small_claims_of
from benchmarks.rate.frames import send, validation
from benchmarks.rate.made_of import digest
from benchmarks.rate.plan import FROZEN, JUDGED, RUNS, Plan, RunFolder
from benchmarks.rate.plot import draw
from benchmarks.rate.score import Judge
from benchmarks.rate.showcase import keep
from benchmarks.rate.timing import coding_parts, graph_parts, measure, video_ms
from benchmarks.rate.video import VIDEOS
from benchmarks.record import RESULTS, write_result
from benchmarks.resumable import resumable
from narrows.models.dataset import FolderDataset

ROUNDS = 15


def main() -> int:
    return resumable("make bench-rate", _bench)


def _bench() -> None:
    options = _options()
    folder = RunFolder(options.run)
    plan = Plan.read(folder.root)
    assemble.check_trained(folder, plan)
    data = FolderDataset.open(options.data, JUDGED)
    judge = Judge(folder, validation(data, plan.val_limit), data.classes)
    sent = send(folder, FROZEN, "end_to_end", judge.frames)
    methods = assemble.methods_of(judge, sent, plan)
    latent = sorted({m.graph for m in methods.values() if m.graph and m.edge})
    cameras = sorted({m.edge for m in methods.values() if m.edge})
    parts = graph_parts(folder, latent, cameras, sent)
    parts |= coding_parts(folder, sent, judge.frames[0], len(data.classes.names))
    times = measure(parts, 2 if options.quick else ROUNDS)
    times |= {f"{codec.name}_both": video_ms(codec, judge.frames) for codec in VIDEOS}
    rows = assemble.rows_of(methods, folder, times)
    full = judge.uncompressed()
    keep(judge, sent, plan, rows)
    result = {
        "data": {"name": data.root.name, "split": JUDGED, "frames": len(judge.frames), "pixels": judge.pixels},
        "encoder": digest(folder.graph("encoder"))[:16],
        "plan": vars(plan),
        "claims": claims_of(rows, full),
        "bits_ratio_at_most": bounds_of(rows, full - BELOW_UNCOMPRESSED),
        "small_joint_decoder": small_claims_of(rows),
        "uncompressed": {"label": "encoder and joint decoder in one, uncompressed pictures", "miou": full},
        "bd_rate_of_joint": savings_of(rows, "joint"),
        "bd_rate_of_end_to_end": savings_of(rows, "end_to_end"),
        "bd_rate_of_end_to_end_p": savings_of(rows, "end_to_end_p"),
        "resnet50": assemble.resnet_rows(folder),
        "methods": rows,
    }
    _print(result)
    if not options.quick:
        publish(result, plan)


def publish(result: Mapping[str, Any], plan: Plan) -> None:
    """Write what the docs are made from, unless it is of a quick plan."""
    if plan.is_quick:
        print("of a quick plan: no result is written")
        return
    data = result["data"]
    command = f"make bench-rate  # {data['name']}, split {data['split']}, {data['frames']} frames"
    print(write_result("rate", command, dict(result)))
    print(draw(result["methods"], RESULTS / "rate.png"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-rate", description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, default=RUNS, help="what `make train-rate-table` wrote")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"), help="labelled folder")
    parser.add_argument("--quick", action="store_true", help="few rounds of timing; writes no result")
    return parser.parse_args()


def _print(result: Mapping[str, Any]) -> None:
    print(f"{'method':<32} {'point':>16} {'bpp':>8} {'mIoU':>8} {'cloud M':>9} {'GMAC':>7} {'ms':>7} {'edge ms':>8}")
    for row in result["methods"].values():
        cloud, edge = row["cloud"], row["edge"]
        for point in row["points"]:
            print(
                f"{row['label']:<32} {_name(point):>16} {point['bits_per_pixel']:>8.4f} {point['miou']:>8.2%} "
                f"{cloud['parameters'] / 1e6:>9.3f} {cloud['macs'] / 1e9:>7.3f} {cloud['cpu_ms']:>7.1f} "
                f"{edge['cpu_ms'] + (edge['codec_cpu_ms'] or 0):>8.1f}"
            )
    print(f"uncompressed: {result['uncompressed']['miou']:.2%}")
    for part in ("claims", "bits_ratio_at_most", "small_joint_decoder"):
        for name, value in result[part].items():
            print(f"{name:<24} {'null' if value is None else format(value, '.4f')}")


def _name(point: Mapping[str, Any]) -> str:
    if "level" in point:
        return f"level {point['level']}"
    if "factor" in point:
        return f"1/{point['factor']}"
    return f"{point['scale']:g} q{point['quality']}{', tuned' if point['tuned'] else ''}"


if __name__ == "__main__":
    sys.exit(main())
