"""What the system refuses and numbers that are none: one sentence each, whatever the command."""

import errno
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.cli.number_options import MOST, check_numbers
from narrows.cli.system_errors import told
from narrows.contract.errors import ConfigError
from tests.unit.cli.test_cli_root import narrows


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "probe.py"
    shown = narrows("bench-device", "--write-probe", str(place))
    assert shown.returncode == 1
    assert shown.stderr == f"narrows: {place} cannot be written: {tmp_path / 'file'} is no folder\n"


@given(st.sampled_from(sorted(errno.errorcode)), st.text(min_size=1))
def test_whatever_the_system_says_of_a_file_names_it(number: int, name: str) -> None:
    sentence = told(OSError(number, os.strerror(number), name))
    assert sentence is not None
    assert name in sentence
    assert os.strerror(number) in sentence


def test_a_full_disk_is_told_of_a_file_without_a_name() -> None:
    sentence = told(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert sentence == "No space left on device; make room, or name a place elsewhere"


def test_what_may_be_a_bug_is_left_alone() -> None:
    assert told(OSError("telescope")) is None
    assert told(BrokenPipeError(errno.EPIPE, "Broken pipe")) is None


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, MOST + 1, -MOST - 1])
def test_a_number_that_is_none_is_refused_by_its_option(value: float) -> None:
    with pytest.raises(ConfigError, match=r"^--learning-rate "):
        check_numbers({"epochs": 3, "learning_rate": value})


@given(st.integers(-MOST, MOST) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none())
def test_every_other_number_is_taken(value: object) -> None:
    check_numbers({"value": value, "text": "inf"})
