"""All targets, one after the other, from the corpus that is kept: ``make fuzz``.

Example: python -m tests.fuzz --runs 10000000
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.record import write_result
from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
BUILD = Path("build") / "fuzz"
CORPUS = BUILD / "corpus"
SHARES = {
    "feature": 0.1,
    "sealed": 0.05,
    "json": 0.05,
    "coco": 0.05,
    "frame": 0.15,
    "sealed_frame": 0.1,
    "context": 0.1,
    "mask": 0.05,
    "label_tables": 0.05,
    "record": 0.1,
    "codec": 0.05,
    "labels": 0.1,
    "masks": 0.05,
}
"""Of the inputs; a run of a coder is hundreds of symbols, coded twice."""
PROGRAMS = ("codec", "labels", "masks")
"""Targets in C, each a program of its own."""
KEPT, KEPT_BYTES = 48, 2048
_DONE = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)
_PEAK = re.compile(r"^stat::peak_rss_mb:\s*(\d+)", re.MULTILINE)
_SLOWEST = re.compile(r"^stat::slowest_unit_time_sec:\s*(\d+)", re.MULTILINE)
_COVERED = re.compile(r"cov: (\d+)")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000_000, help="inputs in all")
    parser.add_argument("--only", choices=SHARES, help="one target alone, with its share of the inputs")
    parser.add_argument("--keep", action="store_true", help="renew the corpus that the repository keeps")
    options = parser.parse_args()
    rows = []
    for name, share in SHARES.items():
        if options.only in (None, name):
            rows.append(fuzzed(name, round(options.runs * share)))
            print(rows[-1], flush=True)
            if options.keep:
                keep(name)
    total = sum(int(row["inputs"]) for row in rows)
    print(f"{total:,} inputs, nothing found")
    if options.only is None:
        print(write_result("fuzz", f'make fuzz ARGS="--runs {options.runs}"', {"inputs": total, "targets": rows}))


def fuzzed(name: str, runs: int) -> dict[str, int | str]:
    """Fuzz one target; ends the program where anything is found."""
    found = CORPUS / name
    found.mkdir(parents=True, exist_ok=True)
    log = BUILD / f"{name}.log"
    with log.open("wb") as out:
        flags = [f"-runs={runs}", f"-artifact_prefix={BUILD}/{name}-", "-print_final_stats=1", "-max_len=4096"]
        code = subprocess.run(
            [*command(name), *flags, "-timeout=10", str(found), str(seeded(name))], stdout=out, stderr=out, check=False
        ).returncode
    said = log.read_text(errors="replace")
    if code != 0:
        sys.exit(f"{name}: found something, or did not run; the end of {log}:\n{said[-3000:]}")
    done, peak, slowest = (int(pattern.findall(said)[-1]) for pattern in (_DONE, _PEAK, _SLOWEST))
    covered = int(_COVERED.findall(said)[-1])
    return {"target": name, "inputs": done, "edges": covered, "peak_rss_mb": peak, "slowest_s_whole": slowest}


def command(name: str) -> list[str]:
    """How a target is started."""
    return [str(BUILD / f"{name}_fuzzer")] if name in PROGRAMS else [sys.executable, "-m", "tests.fuzz.drive", name]


def seeded(name: str) -> Path:
    """The corpus that is kept, with the target's valid inputs."""
    folder = HERE / "corpus" / name
    folder.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(TARGETS[name].seeds if name in TARGETS else ()):
        (folder / f"seed-{index}").write_bytes(seed)
    return folder


def keep(name: str) -> None:
    """Of what was found, the smallest inputs that cover the same; a few of them."""
    merged = BUILD / f"{name}-merged"
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir()
    flags = ["-merge=1", "-max_len=4096"]
    subprocess.run([*command(name), *flags, str(merged), str(CORPUS / name)], capture_output=True, check=True)
    folder = HERE / "corpus" / name
    for old in folder.glob("found-*"):
        old.unlink()
    small = sorted((path for path in merged.iterdir() if path.stat().st_size <= KEPT_BYTES), key=lambda p: p.name)
    for index, path in enumerate(small[:: max(1, len(small) // KEPT)][:KEPT]):
        shutil.copy(path, folder / f"found-{index:02}")


if __name__ == "__main__":
    main()
