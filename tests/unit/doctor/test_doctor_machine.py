from dataclasses import replace
from pathlib import Path

import pytest

from narrows.ops.doctor.machine import HostMachine, find_libpython, problems

GOOD = HostMachine(
    python=(3, 11),
    system="Linux",
    architecture="x86_64",
    glibc=(2, 36),
    missing_modules=(),
    libpython=Path("libpython3.11.so.1.0"),
    compiler="cc",
)


def test_a_machine_that_has_all_has_no_problems() -> None:
    assert problems(GOOD) == []


def test_a_compiler_is_not_missed_since_ziglang_takes_its_place() -> None:
    assert problems(replace(GOOD, compiler=None)) == []


@pytest.mark.parametrize(
    ("lacking", "named", "remedy"),
    [
        (replace(GOOD, python=(3, 10)), "Python 3.10", "apt-get install python3.11"),
        (replace(GOOD, python=(3, 14)), "Python 3.14", "make PYTHON="),
        (replace(GOOD, missing_modules=("venv", "ensurepip")), "venv and ensurepip", "apt-get install python3.11-venv"),
        (replace(GOOD, libpython=None), "shared libpython", "apt-get install libpython3.11"),
        (replace(GOOD, libpython=None), "shared libpython", "--enable-shared"),
        (replace(GOOD, architecture="aarch64"), "Linux on aarch64", "x86_64"),
        (replace(GOOD, system="Darwin", glibc=None), "Darwin on x86_64", "containers"),
        (replace(GOOD, glibc=(2, 31)), "glibc 2.31", "Debian 12"),
        (replace(GOOD, glibc=None), "not glibc", "Debian 12"),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(lacking: HostMachine, named: str, remedy: str) -> None:
    (problem,) = problems(lacking)
    assert named in problem.detail
    assert remedy in problem.remedy


def test_two_lacks_are_named_at_once() -> None:
    assert len(problems(replace(GOOD, libpython=None, architecture="riscv64"))) == 2


def test_the_libpython_found_is_a_file_that_exists() -> None:
    found = find_libpython()
    assert found is None or found.is_file()
