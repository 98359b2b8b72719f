"""What the page is told of one stream."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from narrows.client.registry.camera_masks import Sent
from narrows.contract.wire import FrameIdentity, MaskPacket, StreamSettings
from orchestrator.page.answer import row_json
from orchestrator.page.latest_masks import LatestMask
from orchestrator.page.redis_view import Pulse
from orchestrator.page.rows import Row
from orchestrator.page.states import StreamState

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


def test_what_a_stream_sends_is_told_and_null_where_nobody_knows() -> None:
    masks = row_json(replace(ROW, sends=Sent.AUDITED, asked_for_masks=True), LatestMask(), 0.0, filmed=False)
    assert (masks["sends"], masks["asked_for_masks"]) == ("audited", True)
    unknown = row_json(ROW, LatestMask(), 0.0, filmed=False)
    assert (unknown["sends"], unknown["asked_for_masks"]) == (None, False)
