"""Names in bundles and networks are their authors': a terminal shows them and obeys nothing in them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as with_fields
from rich.table import Table

from narrows.cli import tables
from narrows.cli.doctor import _print as print_finding
from narrows.cli.saying import say
from narrows.cli.split import _print as print_profile
from narrows.cli.split_export import print_bundle
from narrows.cli.tables import fill, show
from narrows.contract.bundle import SplitBundle
from narrows.runtime.finding import Finding, Level
from tests import split_bundles

CLEARS = "net\x1b[2J"
MARKS_UP = "[/x] [red]:car:"
"""Rich ends a command at the first, and obeys the others."""


def test_a_bundle_names_its_cuts_without_clearing_the_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = split_bundles.write(tmp_path, unlike=True)
    cuts = tuple(with_fields(cut, name=CLEARS) for cut in made.manifest.cuts)
    print_bundle(SplitBundle(made.folder, made.id, replace(made.manifest, name=CLEARS, cuts=cuts), made.plans))
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert said.count(r"net\x1b[2J") == 1 + len(cuts)


def test_a_profile_names_tensors_without_clearing_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    cut = {
        "head_ms": 1.0, "encode_ms": 0.1, "tail_ms": 2.0, "head_memory_bytes": 10, "tensors": [CLEARS],
        "bytes": {"native": 100, "8": 25, "4": 13},
    }  # fmt: skip
    print_profile(
        {
            "network": CLEARS, "macs": 1e6, "energy_source": "estimate", "cuts": [cut], "coding": {"source": "here"},
            "device_only": {"device_ms": 3.0, "energy_mj": 1.0}, "server_only": {"server_ms": 3.0, "input_bytes": 10},
        }
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert said.count(r"net\x1b[2J") == 2


def test_a_table_shows_what_was_written_and_obeys_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(title=MARKS_UP)
    for heading in ("who", "why"):
        table.add_column(heading)
    show(fill(table, [(MARKS_UP, CLEARS)]), piped_width=80)
    said = capsys.readouterr().out
    assert said.count(MARKS_UP) == 2
    assert r"net\x1b[2J" in said
    assert "\x1b" not in said


def test_every_table_of_a_command_goes_through_the_one_printer() -> None:
    commands = Path(tables.__file__).parent
    printers = sorted(each.name for each in commands.glob("*.py") if "Console(" in each.read_text(encoding="utf-8"))
    assert printers == ["demo.py", "tables.py"]


def test_what_a_check_found_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    print_finding(Finding(Level.FAIL, CLEARS, f"{CLEARS} is amiss", MARKS_UP))
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert MARKS_UP in said


def test_a_warning_is_said_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    say(CLEARS, sys.stderr)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "net\\x1b[2J\n")
