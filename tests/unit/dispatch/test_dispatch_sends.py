"""A dispatcher's report names the streams that send masks, those that are audited and those that are asked to."""

from __future__ import annotations

import pytest

from narrows.contract.records.report import (
    MAX_REPORT_BYTES,
    MOST_NAMED_STREAMS,
    CameraMasks,
    DispatcherReport,
)
from narrows.contract.wire.keys import StreamKeys
from narrows.contract.wire.streams import StreamSettings
from orchestrator.dispatch.camera_masks import AUDITED_WITHIN_S, camera_masks_of
from orchestrator.dispatch.lease import Lease
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.stream import Stream

LEASE, REFERENCES = Lease(0, "1", 0.0), ReferenceCache(1)
NOW_S = 1000.0


def stream(name: str, *, made: bool = True, asked: bool = False, audited_s: float | None = None) -> Stream:
    found = Stream(StreamKeys(name, 0), LEASE, REFERENCES, StreamSettings(), makes_masks=made, asked_for_masks=asked)
    if audited_s is not None:
        found.audited_s = audited_s
    return found


def test_streams_are_named_by_what_their_cameras_make_and_are_asked_for() -> None:
    streams = [
        stream("features", made=False),
        stream("not-yet", made=False, asked=True),
        stream("masks", asked=True),
        stream("audited", audited_s=NOW_S - 1.0),
        stream("audited-once", audited_s=NOW_S - AUDITED_WITHIN_S),
        stream("features-again", made=False, audited_s=NOW_S - 1.0),
    ]
    assert camera_masks_of(streams, NOW_S) == CameraMasks(
        made=("audited", "audited-once", "masks"), audited=("audited",), asked=("masks", "not-yet")
    )


def test_a_report_with_all_the_names_that_it_takes_is_none_too_large() -> None:
    streams = [stream(f"{number:064d}", asked=True, audited_s=NOW_S) for number in range(MOST_NAMED_STREAMS + 9)]
    named = camera_masks_of(streams, NOW_S)
    assert len(named.made) == MOST_NAMED_STREAMS
    report = DispatcherReport("one", 7, camera_masks=named)
    assert len(report.to_json()) < MAX_REPORT_BYTES
    assert DispatcherReport.parse(report.to_json()) == report


@pytest.mark.parametrize(
    "said", [b'{"v":1,"name":"one","at_ms":7}', b'{"v":1,"name":"one","at_ms":7,"camera_masks":{}}']
)
def test_a_report_that_says_nothing_of_masks_names_no_stream(said: bytes) -> None:
    assert DispatcherReport.parse(said).camera_masks == CameraMasks()
