"""What a stream sends, told from what all dispatchers name."""

from __future__ import annotations

import pytest

from narrows.client.registry.camera_masks import FleetCameraMasks, Sent, together
from narrows.contract.records.report import MOST_NAMED_STREAMS, CameraMasks


@pytest.mark.parametrize(
    ("stream", "sent"), [("a", Sent.MASKS), ("b", Sent.AUDITED), ("c", Sent.MASKS), ("d", Sent.FEATURES)]
)
def test_a_stream_that_nobody_names_sends_features(stream: str, sent: Sent) -> None:
    masks = together([CameraMasks(made=("a", "b"), audited=("b",)), CameraMasks(made=("c",), asked=("d",))])
    assert masks.sent(stream) is sent
    assert masks.asked == {"d"}


def test_nothing_is_said_of_a_stream_where_no_dispatcher_reports_or_one_names_as_many_as_it_can() -> None:
    assert together([]) == FleetCameraMasks()
    assert together([]).sent("a") is None
    crowd = CameraMasks(made=tuple(f"cam-{number}" for number in range(MOST_NAMED_STREAMS)))
    assert (together([crowd]).sent("gate"), together([crowd]).sent("cam-0")) == (None, Sent.MASKS)
