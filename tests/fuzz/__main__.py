"""All targets, one after the other, from the corpus that is kept: ``make fuzz``.

What was run last is kept for each target by itself, so that one can be run alone.

Example: python -m tests.fuzz --only labels --runs 10000000
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.record import RESULTS, read_result, write_result
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
MOST_BYTES, MOST_LABEL_BYTES = 4096, 1024
"""Of an input; the maps of ``labels`` have at most 4,616 pixels, and most runs are of a few bytes."""
KEPT, KEPT_BYTES = 48, 2048
_DONE = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)
_PEAK = re.compile(r"^stat::peak_rss_mb:\s*(\d+)", re.MULTILINE)
_COVERED = re.compile(r"cov: (\d+)")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000_000, help="inputs in all")
    parser.add_argument("--only", choices=SHARES, help="one target alone, with all of the inputs")
    parser.add_argument("--keep", action="store_true", help="renew the corpus that the repository keeps")
    options = parser.parse_args()
    runs = (
        {options.only: options.runs}
        if options.only
        else {name: round(options.runs * share) for name, share in SHARES.items()}
    )
    for name, inputs in runs.items():
        row = fuzzed(name, inputs)
        print(row, flush=True)
        record(row)
        if options.keep:
            keep(name)
    print(f"{sum(runs.values()):,} inputs, nothing found")


def record(row: dict[str, int | str]) -> None:
    """Put a target's row in the place of its last one in ``benchmarks/results/fuzz.json``."""
    before = read_result("fuzz")["targets"] if (RESULTS / "fuzz.json").is_file() else []
    rows = {each["target"]: each for each in [*before, row]}
    write_result("fuzz", "make fuzz", {"targets": [rows[name] for name in SHARES if name in rows]})


def fuzzed(name: str, runs: int) -> dict[str, int | str]:
    """Fuzz one target; ends the program where anything is found."""
    found = CORPUS / name
    found.mkdir(parents=True, exist_ok=True)
    log = BUILD / f"{name}.log"
    with log.open("wb") as out:
        most = MOST_LABEL_BYTES if name == "labels" else MOST_BYTES
        flags = [f"-runs={runs}", f"-artifact_prefix={BUILD}/{name}-", "-print_final_stats=1", f"-max_len={most}"]
        code = subprocess.run(
            [*command(name), *flags, "-timeout=10", str(found), str(seeded(name))], stdout=out, stderr=out, check=False
        ).returncode
    said = log.read_text(errors="replace")
    if code != 0:
        sys.exit(f"{name}: found something, or did not run; the end of {log}:\n{said[-3000:]}")
    done, peak = (int(pattern.findall(said)[-1]) for pattern in (_DONE, _PEAK))
    covered = int(_COVERED.findall(said)[-1])
    today = datetime.now(UTC).date().isoformat()
    return {"target": name, "date": today, "inputs": done, "edges": covered, "peak_rss_mb": peak}


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
    flags = ["-merge=1", f"-max_len={MOST_BYTES}"]
    subprocess.run([*command(name), *flags, str(merged), str(CORPUS / name)], capture_output=True, check=True)
    folder = HERE / "corpus" / name
    for old in folder.glob("found-*"):
        old.unlink()
    small = sorted((path for path in merged.iterdir() if path.stat().st_size <= KEPT_BYTES), key=lambda p: p.name)
    for index, path in enumerate(small[:: max(1, len(small) // KEPT)][:KEPT]):
        shutil.copy(path, folder / f"found-{index:02}")


if __name__ == "__main__":
    main()
