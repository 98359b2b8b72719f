"""The camera's image, built for arm64 from its unchanged Dockerfile and run emulated beside this machine's program.

As root on a Debian machine; installs Docker where it is missing, and builds a stand-in for the base image where that
cannot be pulled. Takes about a quarter of an hour.

Example: python -m tests.arm64_image --bundle bundles/demo
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import redis

from narrows.contract.bundle import Bundle
from narrows.contract.wire import Install
from narrows.contract.wire.keys import INSTALL_KEY
from orchestrator.servers import LocalRedis
from tests.arm64_image.compare import Compared, compare
from tests.arm64_image.sent import Camera, sent

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
E2E = ROOT / "benchmarks" / "e2e"
PUBLIC = "python:3.11-slim-bookworm"
STAND_IN = "narrows/python-arm64:3.11-slim-bookworm"
IMAGE = "narrows/edge:arm64"
AARCH64_ELF = 183
MOST_MB = {"installed_mb": 190, "video_mb": 110}
MOST_SYMBOLS = 0.01
MOST_POINTS = 1.0
SHARDS = 4


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-arm64-image", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=ROOT / "bundles" / "demo")
    options = parser.parse_args()
    run([E2E / "engine.sh"])
    run([HERE / "emulator.sh"])
    try:
        build()
        wrong = [*made_of(), *as_a_camera(Bundle.open(options.bundle))]
    finally:
        run([HERE / "emulator.sh", "off"])
    for each in wrong:
        print(f"WRONG: {each}")
    return int(bool(wrong))


def run(command: Sequence[str | Path], *, given: str = "") -> str:
    """A command's standard output; what it says beside that is shown as it comes."""
    print("+", shlex.join(map(str, command)), flush=True)
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout


def container(*options: str) -> list[str]:
    """A command that runs the image with these options of ``docker run``, the image's name not yet among them."""
    return ["docker", "run", "--rm", "--init", "--interactive", "--platform", "linux/arm64", *options]


def build() -> None:
    """The image, on the public base or a stand-in for it."""
    base = PUBLIC
    if subprocess.run(["docker", "manifest", "inspect", PUBLIC], capture_output=True, check=False).returncode:
        base = STAND_IN
        if subprocess.run(["docker", "image", "inspect", base], capture_output=True, check=False).returncode:
            run([E2E / "standins" / "python.sh", "arm64", base])
    command = ["docker", "buildx", "build", "--load", "--platform", "linux/arm64", "--build-arg", f"PYTHON={base}"]
    run([*command, "--file", "edge_client/Dockerfile", "--tag", IMAGE, "."])


def made_of() -> list[str]:
    """What is in the image; what of it is wrong."""
    found = json.loads(run([*container("--entrypoint", "python"), IMAGE, "-"], given=(HERE / "inside.py").read_text()))
    print("\n".join(f"  {name}: {value}" for name, value in found.items()))
    wrong = [f"{name} is {found[name]:.0f}, over {most}" for name, most in MOST_MB.items() if found[name] > most]
    if (found["machine"], found["torch"], found["coder_elf_machine"]) != ("aarch64", False, AARCH64_ELF):
        wrong.append("it is no aarch64 image without torch")
    return wrong


def as_a_camera(bundle: Bundle) -> list[str]:
    """Its self-test, and what it sends beside what this machine sends, level by level; what of it is wrong."""
    wrong: list[str] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalRedis.start(Path(folder)) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        client.set(INSTALL_KEY, Install(SHARDS).to_json())
        mounts = ["-v", f"{ROOT / 'samples'}:/samples:ro", "-v", f"{bundle.folder.resolve()}:/bundle:ro"]
        emulated = [*container("--network", "host", *mounts), IMAGE, "edge", "--source", "/samples/images/val"]
        emulated += ["--bundle", "/bundle", "--redis-url", server.url]
        here = [sys.executable, "-m", "narrows.cli", "edge", "--source", str(ROOT / "samples" / "images" / "val")]
        here += ["--bundle", str(bundle.folder), "--redis-url", server.url, "--state-dir", f"{folder}/state"]
        print(run([*emulated, "--stream-id", "once", "--once"]))
        for level in range(len(bundle.manifest.levels)):
            packets = [
                sent(Camera(command, f"{name}-{level}", SHARDS), client, level, run)
                for name, command in (("arm64", emulated), ("here", here))
            ]
            compared = compare(bundle, ROOT / "samples", *packets)
            print(f"  level {level}: {compared}")
            wrong += _judged(level, compared)
    return wrong


def _judged(level: int, compared: Compared) -> list[str]:
    wrong = []
    if compared.coded_alike < compared.frames:
        wrong.append(f"level {level}: the coder made other bytes of the same symbols")
    if compared.symbols_that_differ > MOST_SYMBOLS:
        wrong.append(f"level {level}: {compared.symbols_that_differ:.2%} of the symbols differ")
    if abs(compared.miou_arm64 - compared.miou_here) * 100 > MOST_POINTS:
        wrong.append(f"level {level}: mIoU differs by more than {MOST_POINTS} points")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
