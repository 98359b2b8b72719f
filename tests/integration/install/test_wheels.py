"""What ``make wheels`` builds: a camera runs from it where there is no compiler and no checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from narrows.contract.wire import FeaturePacket, Install, StreamKeys
from narrows.contract.wire.keys import INSTALL_KEY, PACKET_FIELD
from orchestrator.servers import LocalRedis
from tools.setup import remedies
from tools.step_runner import StepFailed
from tools.wheels import WheelWrong, build, check

ROOT = Path(__file__).parents[3]
PACKAGES = ("narrows", "edge_client", "orchestrator")
NOT_SHIPPED = re.compile(r"__pycache__|\.so$|/Dockerfile$")
FRAMES = 5
ARM_LIBRARIES = Path("/usr/aarch64-linux-gnu")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The source distribution and the wheels, by their last words."""
    try:
        made = build(tmp_path_factory.mktemp("dist"))
    except StepFailed as failure:
        if remedies(str(failure)):
            pytest.skip(f"setuptools and ziglang are not to be had: {remedies(str(failure))[0]}")
        raise
    return {re.sub(r"^narrows-[\d.]+(?:-.*_\d+_\d+_|\.)", "", path.name): path for path in made}


@pytest.fixture(scope="module")
def installed(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has this machine's wheel with what a camera needs, and nothing else of ours."""
    folder = tmp_path_factory.mktemp("camera")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip: list[str | Path] = [
        folder / "venv/bin/pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
    ]
    done = subprocess.run(
        [*pip, "-c", ROOT / "constraints.txt", f"{built['x86_64.whl']}[edge]"],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    if done.returncode != 0 and remedies(done.stderr):
        pytest.skip(f"what a camera needs is not to be had: {remedies(done.stderr)[0]}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalRedis]:
    with LocalRedis.start(tmp_path) as started:
        yield started


def test_there_is_a_wheel_for_each_processor_that_any_python_3_takes(built: dict[str, Path]) -> None:
    assert set(built) == {"tar.gz", "x86_64.whl", "aarch64.whl"}
    assert all("-py3-none-manylinux_2_17_" in path.name for path in built.values() if path.suffix == ".whl")


@pytest.mark.parametrize("kind", ["x86_64.whl", "aarch64.whl"])
def test_a_wheel_has_every_file_of_the_packages_and_one_symbol_coder(built: dict[str, Path], kind: str) -> None:
    there = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and not NOT_SHIPPED.search(str(path.relative_to(ROOT)))
    }
    packed = {name for name in zipfile.ZipFile(built[kind]).namelist() if ".dist-info/" not in name}
    assert there <= packed
    (coder,) = packed - there
    assert re.fullmatch(r"narrows/contract/codec/_kernel_[0-9a-f]{12}\.so", coder)


def test_the_source_distribution_has_what_a_wheel_is_built_of_and_nothing_compiled(built: dict[str, Path]) -> None:
    with tarfile.open(built["tar.gz"]) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {
        "pyproject.toml",
        "setup.py",
        "README.md",
        "LICENSE",
        "narrows/contract/codec/kernel.c",
        "narrows/contract/codec/labels.c",
        "narrows/contract/codec/masks.c",
        "narrows/contract/codec/crc.c",
        "narrows/contract/codec/rans.h",
        "narrows/contract/codec/general_labels.bin",
        "narrows/py.typed",
    } <= names
    assert not [name for name in names if name.endswith((".so", ".pyc"))]


def test_a_wheel_with_another_processors_coder_is_refused(built: dict[str, Path], tmp_path: Path) -> None:
    wrong = tmp_path / built["aarch64.whl"].name
    shutil.copy(built["x86_64.whl"], wrong)
    with pytest.raises(WheelWrong, match="is for ELF machine 62"):
        check(wrong)


def test_a_wheel_that_needs_a_later_glibc_than_it_names_is_refused(built: dict[str, Path], tmp_path: Path) -> None:
    older = tmp_path / built["aarch64.whl"].name.replace("_2_17_", "_2_5_")
    shutil.copy(built["aarch64.whl"], older)
    with pytest.raises(WheelWrong, match=r"needs glibc \(2, 17\)"):
        check(older)


def test_a_wheel_without_a_coder_is_refused(tmp_path: Path) -> None:
    pure = tmp_path / "narrows-0.1.0-py3-none-manylinux_2_17_x86_64.whl"
    with zipfile.ZipFile(pure, "w") as packed:
        packed.writestr("narrows/contract/codec/kernel.c", "")
    with pytest.raises(WheelWrong, match="has 0 compiled symbol coders"):
        check(pure)


def test_a_wheel_whose_coder_cannot_be_compiled_is_not_built(built: dict[str, Path], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", tmp_path, built["tar.gz"]],
        capture_output=True, text=True, check=False, env=os.environ | {"CC": "/no/compiler"},
    )  # fmt: skip
    assert done.returncode != 0
    assert "without it no camera runs: /no/compiler cannot be run" in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_camera_runs_from_the_wheel_without_a_compiler(installed: Path, server: LocalRedis, tmp_path: Path) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set(INSTALL_KEY, Install(4).to_json())
        camera: list[str | Path] = [
            installed / "venv/bin/narrows", "edge", "--source", ROOT / "samples/images/val", "--stream-id", "cam-1",
            "--redis-url", server.url, "--bundle", ROOT / "bundles/demo", "--frames", str(FRAMES), "--max-age-s", "0",
            "--journal", tmp_path / "journal.jsonl",
        ]  # fmt: skip
        bare = {"PATH": str(installed / "venv/bin"), "HOME": str(tmp_path)}
        done = subprocess.run(camera, cwd=tmp_path, env=bare, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        entries = client.xrange(StreamKeys.of("cam-1", 4).features)
    packets = [FeaturePacket.parse(fields[PACKET_FIELD]) for _, fields in entries]
    assert [packet.identity.sequence for packet in packets] == list(
        range(packets[0].identity.sequence, packets[0].identity.sequence + FRAMES)
    )
    assert json.loads((tmp_path / "journal.jsonl").read_text().splitlines()[-1])["end"]


def test_what_runs_there_is_the_wheel_and_no_compiler_is_in_reach(installed: Path, tmp_path: Path) -> None:
    code = (
        "import narrows, shutil, sys; print(narrows.__file__); sys.exit(any(map(shutil.which, ['cc', 'gcc', 'clang'])))"
    )
    bare = {"PATH": str(installed / "venv/bin"), "HOME": str(tmp_path)}
    found = subprocess.check_output([installed / "venv/bin/python", "-c", code], cwd=tmp_path, env=bare, text=True)
    assert found.startswith(str(installed / "venv/lib"))


def test_the_other_processors_coder_links_there(built: dict[str, Path], tmp_path: Path) -> None:
    loader = ARM_LIBRARIES / "lib/ld-linux-aarch64.so.1"
    emulator = next(filter(None, map(shutil.which, ("qemu-aarch64", "qemu-aarch64-static"))), None)
    if emulator is None or not loader.exists():
        pytest.skip("there is no emulated aarch64: apt-get install qemu-user libc6-arm64-cross")
    with zipfile.ZipFile(built["aarch64.whl"]) as packed:
        (coder,) = [name for name in packed.namelist() if name.endswith(".so")]
        packed.extract(coder, tmp_path)
    done = subprocess.run(
        [emulator, loader, "--library-path", ARM_LIBRARIES / "lib", "--list", tmp_path / coder],
        capture_output=True, text=True, check=False, env=dict(os.environ, LD_BIND_NOW="1"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "libc.so.6 => /usr/aarch64-linux-gnu" in done.stdout
