"""What the page is told of one stream."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from narrows.client.registry.camera_masks import Sent
from narrows.contract.outputs.objects import ObjectMask, Objects, objects_value
from narrows.contract.schedule import Objective, Planner, explain
from narrows.contract.wire import FrameIdentity, MaskPacket, ResultPacket, StreamSettings
from narrows.contract.wire.output_packet import OutputPacket
from orchestrator.page.answer import row_json
from orchestrator.page.latest_masks import LatestMask
from orchestrator.page.redis_view import Pulse
from orchestrator.page.rows import Row
from orchestrator.page.states import StreamState
from tests.unit.schedule.scenes import FAST, table

LABELS = np.array([[0, 1, 1]], np.uint8)
MASK = MaskPacket(255, FrameIdentity(1, 2), 1000, 1, 5, LABELS, np.array([1, 2], np.uint32))
ROW = Row(
    "cam-1",
    StreamState.LIVE,
    0.1,
    0.1,
    5.0,
    5.0,
    0.0,
    StreamSettings(),
    registered=True,
    pulse=Pulse(0, 0, 0, 0, 0, 0, 0, 0),
    error=None,
)


def test_a_mask_is_told_with_its_size_and_its_outputs() -> None:
    latest = LatestMask()
    latest.take("5-0", MASK)
    told = row_json(ROW, latest, 0.0, filmed=False)["mask"]
    assert (told["width"], told["height"], told["entry"]) == (3, 1, "5-0")
    assert told["largest"] == [[1, 0.667], [0, 0.333]]
    assert told["outputs"] == [{"name": "labels", "kind": "labels"}]


def test_of_objects_alone_the_size_of_their_picture_is_told_and_no_share_of_a_class() -> None:
    outlined = Objects(640, 480, 12, (ObjectMask(3, 7, 0, 0, 24, None),))
    further = (OutputPacket(objects_value(outlined.to_bytes()), "00000000000000ab"),)
    latest = LatestMask()
    latest.take("5-0", ResultPacket(255, FrameIdentity(1, 2), 1000, 0, 0, 50, further=further))
    told = row_json(ROW, latest, 0.0, filmed=False)
    assert told["mask"] | {"outputs": []} == {
        "entry": "5-0",
        "bundle": "00000000000000ff",
        "epoch": "1",
        "sequence": 2,
        "width": 640,
        "height": 480,
        "largest": None,
        "objects": [3],
        "outputs": [],
    }
    assert told["kbit_per_s"] == 2.0  # 50 bytes, 5 a second


def test_a_result_that_the_page_cannot_draw_is_no_mask() -> None:
    latest = LatestMask()
    latest.take("5-0", ResultPacket(255, FrameIdentity(1, 2), 1000, 0, 0, 50))
    told = row_json(ROW, latest, 0.0, filmed=True)
    assert (told["mask"], told["filmed"]) == (None, False)


def test_what_a_stream_sends_is_told_and_null_where_nobody_knows() -> None:
    masks = row_json(replace(ROW, sends=Sent.AUDITED, asked_for_masks=True), LatestMask(), 0.0, filmed=False)
    assert (masks["sends"], masks["asked_for_masks"]) == ("audited", True)
    unknown = row_json(ROW, LatestMask(), 0.0, filmed=False)
    assert (unknown["sends"], unknown["asked_for_masks"]) == (None, False)


def test_the_design_in_use_is_told_with_its_reason_and_for_how_long_by_now() -> None:
    planner = Planner(table(), Objective.LATENCY)
    decision = planner.plan(FAST, 10.0)
    latest = LatestMask(plan_entry="50000-0", plan=explain(planner, decision, 12.5, 0))
    pinned = replace(ROW, settings=StreamSettings(design="device"))
    told = row_json(pinned, latest, 53_000.0, filmed=False)["design"]
    assert told["name"] == decision.chosen.design.name
    assert (told["reason"], told["objective"], told["pinned"]) == ("first plan", "latency", "device")
    assert told["for_s"] == 2.5 + 3.0
    assert told["broken"] == []


def test_no_design_is_told_of_a_camera_that_says_none_or_is_dead() -> None:
    planner = Planner(table(), Objective.LATENCY)
    latest = LatestMask(plan_entry="1-0", plan=explain(planner, planner.plan(FAST, 0.0), 0.0, 0))
    assert row_json(ROW, LatestMask(), 0.0, filmed=False)["design"] is None
    assert row_json(replace(ROW, state=StreamState.DEAD), latest, 0.0, filmed=False)["design"] is None
