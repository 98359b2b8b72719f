"""Control, outcomes, settings and install: JSON that is read strictly, and never breaks its reader."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from narrows.contract.errors import RecordError
from narrows.contract.wire import Control, FrameIdentity, Install, Policy, Refusal, Sends, Skip, StreamSettings
from narrows.contract.wire.outcome import MAX_OUTCOME_BYTES, REFUSED, SKIPPED, outcome_from_json, outcome_to_json
from narrows.contract.wire.streams import MaskPacking
from tests.unit.wire.wire_strategies import U8, U32, identities

PARSERS: dict[str, Callable[[bytes], object]] = {
    "control": Control.parse,
    "settings": StreamSettings.parse,
    "install": Install.parse,
    "skipped": lambda data: outcome_from_json(SKIPPED, data),
    "refused": lambda data: outcome_from_json(REFUSED, data),
}
controls = st.builds(
    Control,
    level=st.none() | U8,
    frames_per_s=st.none() | st.floats(0, 240, exclude_min=True),
    key_request=U32,
    send=st.none() | st.sampled_from(Sends),
)
settings = st.builds(
    StreamSettings,
    policy=st.sampled_from(Policy),
    weight=st.floats(0, 1000, exclude_min=True),
    group=st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=64),
    bundle=st.none() | st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    stale_ms=st.integers(1, 3_600_000),
    refuse_future_clock=st.booleans(),
    masks=st.sampled_from([UNSET, *MaskPacking]),
)
words = st.text(max_size=40)
refusals = st.builds(Refusal, words, st.text(max_size=1000), st.none() | identities)
fields = st.sampled_from(
    [
        "level",
        "frames_per_s",
        "key_request",
        "send",
        "policy",
        "weight",
        "group",
        "bundle",
        "stale_ms",
        "refuse_future_clock",
        "masks",
        "shards",
        "epoch",
        "sequence",
        "reason",
        "detail",
        "other",
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
strange_objects = st.dictionaries(fields, scalars | st.lists(scalars, max_size=2)).map(
    lambda record: json.dumps(record | {"v": 1}).encode()
)


@given(controls)
def test_a_control_record_comes_back(control: Control) -> None:
    assert Control.parse(control.to_json()) == control


@given(settings)
def test_settings_come_back(value: StreamSettings) -> None:
    assert StreamSettings.parse(value.to_json()) == value


@given(st.integers(1, 1024), st.integers(1, 255))
def test_an_install_record_comes_back(shards: int, packet_format: int) -> None:
    for install in (Install(shards), Install(shards, packet_format)):
        assert Install.parse(install.to_json()) == install
    assert Install(shards, packet_format).newest_packet_format == packet_format


def test_an_install_record_without_a_packet_format_is_written_as_ever_and_says_1() -> None:
    assert Install(4).to_json() == b'{"v":1,"shards":4}'
    assert Install(4).newest_packet_format == 1


@given(st.builds(Skip, identities, words))
def test_a_skip_comes_back(skip: Skip) -> None:
    assert outcome_from_json(SKIPPED, outcome_to_json(skip)) == skip


@given(refusals)
def test_a_refusal_comes_back(refusal: Refusal) -> None:
    assert outcome_from_json(REFUSED, outcome_to_json(refusal)) == refusal


def test_a_long_detail_is_cut_so_that_readers_take_it() -> None:
    body = outcome_to_json(Refusal("field", "\N{SNOWMAN}" * 100_000))
    assert len(body) <= MAX_OUTCOME_BYTES
    assert outcome_from_json(REFUSED, body) == Refusal("field", "\N{SNOWMAN}" * 1000)


@pytest.mark.parametrize("parser", PARSERS)
@given(data=st.binary(max_size=100) | strange_objects)
def test_whatever_the_bytes_a_value_or_a_named_error(parser: str, data: bytes) -> None:
    try:
        value = PARSERS[parser](data)
    except RecordError:
        return
    assert value is not None


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b"{" + b'"a":' * 200,
        b"null",
        b"3",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"",
        b'{"v":1,"x":' + b"9" * 900,
    ],
    ids=["too long", "nested", "null", "number", "list", "text", "no text", "empty", "cut off"],
)
def test_what_is_no_record_is_a_named_error(parser: str, data: bytes) -> None:
    with pytest.raises(RecordError):
        PARSERS[parser](data)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"v": 2},
        {"v": 1, "level": 256},
        {"v": 1, "level": -1},
        {"v": 1, "level": 1.0},
        {"v": 1, "level": True},
        {"v": 1, "frames_per_s": 0},
        {"v": 1, "frames_per_s": 241},
        {"v": 1, "frames_per_s": float("nan")},
        {"v": 1, "frames_per_s": float("inf")},
        {"v": 1, "frames_per_s": True},
        {"v": 1, "key_request": 1 << 32},
        {"v": 1, "send": "pictures"},
    ],
)
def test_a_control_field_out_of_its_range_is_named(record: dict[str, object]) -> None:
    with pytest.raises(RecordError, match="control"):
        Control.parse(json.dumps(record).encode())


def test_a_record_that_names_a_cut_as_earlier_releases_knew_it_is_read() -> None:
    assert Control.parse(b'{"v":1,"cut":3,"design":"cut 1, level 0"}') == Control(design="cut 1, level 0")


def test_a_newer_cloud_may_ask_for_what_an_older_camera_does_not_know() -> None:
    assert Control.parse(b'{"v":1,"level":2,"iso":100}') == Control(level=2)


@pytest.mark.parametrize(
    "record",
    [
        {"colour": 1},
        {"policy": "fast"},
        {"policy": ["realtime"]},
        {"weight": 0},
        {"weight": 1001},
        {"weight": float("nan")},
        {"weight": 10**400},
        {"weight": True},
        {"group": ""},
        {"group": "x" * 65},
        {"group": "\n"},
        {"group": " "},
        {"design": "  "},
        {"design": "\u200b"},
        {"group": "\ud800"},
        {"bundle": "0123"},
        {"bundle": "-123456789abcdef"},
        {"bundle": 7},
        {"stale_ms": 0},
        {"stale_ms": 3_600_001},
        {"stale_ms": 1.5},
        {"stale_ms": float("inf")},
        {"refuse_future_clock": 1},
        {"masks": "tiny"},
        {"masks": None},
    ],
)
def test_a_setting_out_of_its_range_is_named(record: dict[str, object]) -> None:
    with pytest.raises(RecordError, match="stream"):
        StreamSettings.parse(json.dumps(record).encode())


def test_settings_that_are_left_out_have_their_defaults() -> None:
    assert StreamSettings.parse(b'{"weight":3}') == StreamSettings(weight=3.0)


def test_how_masks_are_packed_is_written_only_where_an_older_dispatcher_could_not_do_it_anyway() -> None:
    assert StreamSettings().mask_packing is MaskPacking.FAST
    assert b"masks" not in StreamSettings().to_json()
    assert StreamSettings.parse(b'{"masks":"small"}').mask_packing is MaskPacking.SMALL
    assert StreamSettings.parse(b'{"masks":"fast"}').mask_packing is MaskPacking.FAST


def test_a_bundle_id_is_kept_in_lower_case() -> None:
    assert StreamSettings.parse(b'{"bundle":"0123456789ABCDEF"}').bundle == "0123456789abcdef"


@pytest.mark.parametrize("shards", [0, 1025, 1.0, True, "4", None])
def test_shards_out_of_range_are_named(shards: object) -> None:
    with pytest.raises(RecordError, match="shards"):
        Install.parse(json.dumps({"v": 1, "shards": shards}).encode())


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        (SKIPPED, {"reason": "stale"}),
        (b"mask", {"reason": "stale", "epoch": 1, "sequence": 2}),
        (REFUSED, {"detail": "x"}),
        (REFUSED, {"reason": 7}),
        (REFUSED, {"reason": "field", "epoch": 1}),
        (REFUSED, {"reason": "field", "epoch": -1, "sequence": 0}),
        (REFUSED, {"reason": "field", "epoch": 1 << 64, "sequence": 0}),
        (REFUSED, {"reason": "field", "epoch": float("inf"), "sequence": 0}),
        (REFUSED, {"reason": "field", "epoch": 1, "sequence": 1 << 32}),
    ],
)
def test_an_outcome_that_cannot_be_is_named(kind: bytes, record: dict[str, object]) -> None:
    with pytest.raises(RecordError, match="outcome"):
        outcome_from_json(kind, json.dumps(record).encode())


def test_a_refusal_may_have_no_identity() -> None:
    assert outcome_from_json(REFUSED, b'{"reason":"truncated"}') == Refusal("truncated", "", None)
    assert outcome_from_json(REFUSED, b'{"reason":"seal","epoch":1,"sequence":2}').identity == FrameIdentity(1, 2)
