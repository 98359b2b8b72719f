"""The kernel is compiled with what the machine has, and its absence is named with the remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from narrows.contract.codec import kernel
from narrows.contract.codec.artifact import object_path
from narrows.contract.codec.build import build
from narrows.contract.errors import KernelMissing


def test_the_object_is_built_where_it_is_asked_for(tmp_path: Path) -> None:
    built = build(output=tmp_path / "kernel.so")
    assert built == tmp_path / "kernel.so"
    assert built.read_bytes()[:4] in (b"\x7fELF", b"\xcf\xfa\xed\xfe")
    assert [path.name for path in tmp_path.iterdir()] == ["kernel.so"]


def test_an_absent_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler --flag")
    with pytest.raises(KernelMissing, match=r"no-such-compiler.*\$CC"):
        build(output=tmp_path / "kernel.so")


def test_a_failing_compiler_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "sh -c 'echo no room >&2; exit 3'")
    with pytest.raises(KernelMissing, match="no room"):
        build(output=tmp_path / "kernel.so")
    assert list(tmp_path.iterdir()) == []


def test_without_any_compiler_both_remedies_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("narrows.contract.codec.build.importlib.util.find_spec", lambda _: None)
    with pytest.raises(KernelMissing, match=r"gcc.*ziglang"):
        build(output=tmp_path / "kernel.so")
    with pytest.raises(KernelMissing, match="pip install ziglang"):
        build("aarch64-linux-gnu", tmp_path / "kernel.so")


def test_a_kernel_that_is_not_built_says_make_setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "object_path", lambda: tmp_path / "absent.so")
    with pytest.raises(KernelMissing, match="make setup"):
        kernel.load()


def test_an_older_source_is_another_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    present = object_path()
    altered = tmp_path / "kernel.c"
    altered.write_text("/* another */\n")
    monkeypatch.setattr("narrows.contract.codec.artifact.SOURCES", (altered,))
    assert object_path().name != present.name


def test_the_command_line_builds(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "narrows.contract.codec.build", "--output", str(tmp_path / "k.so")]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "k.so")), done.stderr
    failed = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, env={**os.environ, "CC": "no-such-compiler"}
    )
    assert failed.returncode == 1
    assert "no-such-compiler" in failed.stderr
