"""What pytest needs of the files of tests."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[2]


def test_no_two_test_files_have_the_same_name() -> None:
    """They are imported by their names alone: two of one name in one run are an error of the whole run."""
    names = Counter(path.name for path in TESTS.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
