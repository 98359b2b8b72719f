"""Every record that crosses a process: any bytes are a value or a named error, and a value comes back."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.errors import BundleError, FrameRefused, RecordError, SecretError
from narrows.contract.json_text import decode_json, decode_object
from tests.fuzz.targets import RECORDS, TARGETS

NAMED = (RecordError, SecretError, BundleError, FrameRefused)
SEEDS = TARGETS["record"].seeds
JSON_SEEDS = [seed for seed in SEEDS if b"{" in seed[:3]]
OLDER = Path(__file__).parent / "records_of_release_0_1.txt"
HOSTILE = (
    *(
        b"1e999",
        b"-1e999",
        b"NaN",
        b"-Infinity",
        b"9" * 400,
        b"9" * 5000,
        b"-1",
        b"0.5",
        b"true",
        b"null",
        b"[]",
        b"{}",
    ),
    *(b'"\\ud800"', b'"\xff"', b'"1"', b"[" * 2000 + b"]" * 2000, b'{"a":1,"a":2}', b"18446744073709551616", b""),
)


def parse(seed: bytes, data: bytes) -> Any:
    """A value that its own writer and parser agree on; ``None`` where it was refused by name."""
    read, write = RECORDS[seed[0]]
    try:
        found = read(data)
    except NAMED:
        return None
    assert read(write(found)) == found
    return found


def members(text: bytes) -> list[tuple[int, int]]:
    """Where each value of a JSON text that follows a colon or a bracket begins and ends."""
    text_of = text.decode()
    decoder, found = json.JSONDecoder(), []
    for begin, character in enumerate(text_of):
        if character in ":[,":
            at = begin + 1 + (len(text_of[begin + 1 :]) - len(text_of[begin + 1 :].lstrip()))
            try:
                found.append((at, decoder.raw_decode(text_of, at)[1]))
            except ValueError:
                continue
    return found


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed[0]}")
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_named_error(seed: bytes, data: bytes) -> None:
    parse(seed, data)


@pytest.mark.parametrize("seed", JSON_SEEDS, ids=lambda seed: f"{seed[0]}")
def test_whatever_stands_in_whichever_field_a_value_or_a_named_error(seed: bytes) -> None:
    body = seed[2:] if seed[1:2] in b"rs" else seed[1:]
    prefix = seed[1 : len(seed) - len(body)]
    for begin, end in members(body):
        for hostile in HOSTILE:
            parse(seed, prefix + body[:begin] + hostile + body[end:])


@pytest.mark.parametrize("seed", JSON_SEEDS, ids=lambda seed: f"{seed[0]}")
@pytest.mark.parametrize(
    "hostile", [b"1e999", b"NaN", b"Infinity", b'"\xff"', b"[" * 5000], ids=lambda raw: raw[:8].decode("latin-1")
)
def test_no_number_and_no_unicode_are_refused_even_in_a_field_that_nobody_reads(seed: bytes, hostile: bytes) -> None:
    assert parse(seed, seed[1:].rstrip()[:-1] + b',"later":' + hostile + b"}") is None


@pytest.mark.parametrize("seed", JSON_SEEDS, ids=lambda seed: f"{seed[0]}")
def test_a_key_that_stands_twice_is_refused(seed: bytes) -> None:
    body = seed[1:].rstrip()
    name = json.loads(body[body.index(b"{") :]).popitem()[0]
    assert parse(seed, body[:-1] + b',"' + name.encode() + b'":1}') is None


@pytest.mark.parametrize("seed", JSON_SEEDS, ids=lambda seed: f"{seed[0]}")
def test_another_encoding_than_utf_8_is_refused(seed: bytes) -> None:
    assert parse(seed, seed[1:].decode().encode("utf-16")) is None


@pytest.mark.parametrize("seed", JSON_SEEDS, ids=lambda seed: f"{seed[0]}")
def test_what_is_too_long_is_refused(seed: bytes) -> None:
    assert parse(seed, seed[1:] + b" " * (9 << 20)) is None


@pytest.mark.parametrize("line", OLDER.read_text().splitlines(), ids=lambda line: line.split(" ")[0])
def test_what_the_release_before_wrote_is_read(line: str) -> None:
    index, written = line.split(" ", 1)
    read, write = RECORDS[int(index)]
    data = ast.literal_eval(written)
    found = read(data)
    as_before, now = (json.loads(text[text.index(b"{") :]) for text in (data, write(found)))
    assert {name: now[name] for name in as_before if as_before[name] is not None and as_before[name] != 0} == {
        name: value for name, value in as_before.items() if value is not None and value != 0
    }


def test_a_field_is_named_with_what_stood_in_it() -> None:
    report = json.loads(SEEDS[8][1:]) | {"streams": -4}
    with pytest.raises(RecordError, match=r"a dispatcher's report: streams is -4: Expected `int` >= 0"):
        RECORDS[8][0](json.dumps(report).encode())


def test_an_object_that_is_read_field_by_field_is_an_object() -> None:
    assert decode_object(b'{"a":[1]}', what="it", most_bytes=9) == {"a": [1]}
    for data in (b"[]", b"3", b'{"a":1}     '):
        with pytest.raises(RecordError):
            decode_object(data, what="it", most_bytes=9)


@pytest.mark.parametrize(
    "text", [b"[1e999]", b"NaN", b"[[-Infinity]]", b"9" * 30, b'{"a":[[1e999]]}', b'"\xff"', b"[" * 5000]
)
def test_any_json_has_only_numbers_that_every_reader_holds(text: bytes) -> None:
    with pytest.raises(RecordError, match="it is no JSON"):
        decode_json(text, what="it", most_bytes=1 << 16)
