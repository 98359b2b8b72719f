"""A file that is no whole backup is refused with what is amiss, before anything is written."""

import json

import pytest

from narrows.client.registry.backup import StreamBackup, read_backup
from narrows.contract.errors import RecordError
from narrows.contract.wire import Install

LINES = [StreamBackup(name, "", {"delivered": 3}, {b"0": b"\xff"}).to_line().encode() for name in ("a", "b")]


def head(**more: object) -> bytes:
    return json.dumps({"narrows_backup": 1, "install": Install(shards=4).to_json().decode(), **more}).encode()


def test_a_file_that_was_cut_off_between_two_lines_is_no_backup() -> None:
    assert len(read_backup([head(streams=2), *LINES])[1]) == 2
    with pytest.raises(RecordError, match=r"1 streams of 2: it was cut off"):
        read_backup([head(streams=2), *LINES[:1]])


def test_a_backup_that_does_not_say_how_many_streams_it_has_is_taken() -> None:
    assert len(read_backup([head(), *LINES])[1]) == 2


@pytest.mark.parametrize(
    "lines",
    [
        [head(), rb'{"stream":"a","settings":"","ledger":{"\ud800":1},"seen":{}}'],
        [rb'{"narrows_backup":1,"install":"\uDC00"}'],
    ],
)
def test_half_a_letter_is_refused_where_it_is_read(lines: list[bytes]) -> None:
    with pytest.raises(RecordError, match="unpaired surrogate"):
        read_backup(lines)


def test_a_letter_of_two_halves_is_one() -> None:
    line = rb'{"stream":"a","settings":"","ledger":{"\ud83d\ude00":1},"seen":{}}'
    assert read_backup([head(), line])[1][0].ledger == {"\U0001f600": 1}


@pytest.mark.parametrize("count", ["-1", "1000000000000000", "1.0", "true"])
def test_what_dispatchers_would_not_count_on_from_is_refused(count: str) -> None:
    line = f'{{"stream":"a","settings":"","ledger":{{"mask":{count}}},"seen":{{}}}}'
    with pytest.raises(RecordError, match=r"line 2 .*'mask' of the ledger is no count"):
        read_backup([head(), line.encode()])
