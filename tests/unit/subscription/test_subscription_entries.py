"""Entries of an ``out`` stream, and how they are described."""

from __future__ import annotations

import json

import numpy as np
import pytest
from msgspec.structs import replace

import narrows
from narrows.client.subscription import parse_entry, subscribe
from narrows.client.subscription.describe import describe
from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.outputs.objects import ObjectMask, Objects, objects_value
from narrows.contract.wire import FrameIdentity, MaskPacket, Refusal, Skip, Timings
from narrows.contract.wire.outcome import outcome_to_json
from narrows.contract.wire.output_packet import OutputPacket

LABELS = np.array([[0, 1], [1, 1]], np.uint8)
MASK = MaskPacket(255, FrameIdentity(1, 2), 1000, 1, 5, LABELS, np.array([1, 3], np.uint32), Timings(1, 2, 3, 4, 5))
SKIP, REFUSAL = Skip(FrameIdentity(1, 3), "stale"), Refusal("truncated", "3 bytes")


def test_each_kind_of_entry_becomes_its_value() -> None:
    mask = parse_entry({b"k": b"mask", b"p": MASK.to_bytes()})
    assert isinstance(mask, MaskPacket)
    assert np.array_equal(mask.labels, LABELS)
    assert parse_entry({b"k": b"skipped", b"p": outcome_to_json(SKIP)}) == SKIP
    assert parse_entry({b"k": b"refused", b"p": outcome_to_json(REFUSAL)}) == REFUSAL


@pytest.mark.parametrize(
    "fields",
    [{}, {b"k": b"mask"}, {b"p": b"x"}, {b"k": b"mask", b"p": b"x"}, {b"k": b"new", b"p": b"{}"}],
)
def test_an_entry_that_cannot_be_read_is_a_named_error(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(RecordError):
        parse_entry(fields)


def test_a_mask_is_described_by_the_names_of_its_classes() -> None:
    record = describe(MASK, ("sky", "road"), received_ms=1012.5)
    assert record["areas"] == {"sky": 1, "road": 3}
    assert (record["latency_ms"], record["bits_per_pixel"], record["bundle"]) == (12.5, 10.0, "00000000000000ff")
    assert record["timings_us"] == {"redis_us": 1, "decode_us": 2, "batch_us": 3, "infer_us": 4, "pack_us": 5}
    assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize(
    ("timings", "made_by"),
    [
        (Timings(batch_us=0, infer_us=0, redis_us=1, decode_us=2, pack_us=5), "camera"),
        (Timings(batch_us=0, infer_us=4), "cloud"),
        (Timings(batch_us=3, infer_us=0), "cloud"),
    ],
)
def test_a_mask_that_waited_for_no_inference_is_described_as_the_cameras(timings: Timings, made_by: str) -> None:
    assert describe(replace(MASK, timings=timings), (), received_ms=0.0)["made_by"] == made_by


def test_a_mask_names_its_outputs_and_holds_their_values() -> None:
    (value,) = MASK.outputs
    assert (value.output.name, value.output.kind, value.output.shape) == ("labels", "labels", (2, 2))
    assert value.output.classes == ("0", "1")
    assert value.values is MASK.labels
    assert describe(MASK, (), received_ms=0.0)["outputs"] == [{"name": "labels", "kind": "labels"}]


def test_what_a_camera_outlined_is_described_with_its_share_of_the_picture_or_as_lost() -> None:
    things = Objects(40, 20, 4, (ObjectMask(3, 7, -2, 5, 10, np.eye(4) > 0), ObjectMask(9, 8, 0, 0, 12, None)))
    mask = replace(MASK, further=(OutputPacket(objects_value(things.to_bytes()), "00000000000000ab"),))
    assert mask.objects is not None
    assert mask.objects.to_bytes() == things.to_bytes()
    assert MASK.objects is None
    assert describe(mask, (), received_ms=0.0)["outputs"][1] == {
        "name": "objects",
        "kind": "objects",
        "version": "00000000000000ab",
        "source": [40, 20],
        "objects": [
            {"prompt": 3, "version": 7, "window": [-2, 5, 10], "share": 0.03125},
            {"prompt": 9, "version": 8, "window": [0, 0, 12], "lost": True},
        ],
    }


def test_without_names_labels_go_by_their_numbers() -> None:
    assert describe(MASK, (), received_ms=0.0)["areas"] == {"0": 1, "1": 3}


def test_skips_and_refusals_are_described_with_their_reason() -> None:
    assert describe(SKIP, (), received_ms=0.0) == {"kind": "skipped", "epoch": 1, "sequence": 3, "reason": "stale"}
    assert describe(REFUSAL, (), received_ms=0.0) == {
        "kind": "refused",
        "epoch": None,
        "sequence": None,
        "reason": "truncated",
        "detail": "3 bytes",
    }


def test_subscribe_is_at_the_top_of_the_package() -> None:
    assert narrows.subscribe is subscribe
    with pytest.raises(AttributeError, match="unsubscribe"):
        _ = narrows.unsubscribe  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("url", "says"), [("redis://:secret@127.0.0.1:1/0", "does not answer"), ("http://x", "no address of Redis")]
)
def test_a_redis_that_is_not_there_is_a_named_error_that_keeps_the_password(url: str, says: str) -> None:
    with pytest.raises(ServiceError, match=says) as raised:
        subscribe("cam-1", redis_url=url)
    assert "secret" not in str(raised.value)
