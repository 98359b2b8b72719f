"""Silent cameras by time; and labels that do not grow with what cameras and operators name."""

import pytest

from orchestrator.dispatch.silence import Sending, sending
from orchestrator.telemetry.metrics import MOST_GROUPS, Metrics


@pytest.mark.parametrize(
    ("silent_s", "state"),
    [(0.0, Sending.LIVE), (59.9, Sending.LIVE), (60.0, Sending.SILENT), (86_399.0, Sending.SILENT), (86_400.0, None)],
)
def test_a_stream_is_silent_after_a_minute_and_expected_no_longer_after_a_day(
    silent_s: float, state: Sending | None
) -> None:
    assert sending(silent_s) is state
    assert sending(float("inf")) is None


def test_groups_beyond_the_first_share_a_label() -> None:
    metrics = Metrics()
    labels = {metrics.group(f"site-{n}") for n in range(10_000)}
    assert len(labels) == MOST_GROUPS + 1
    assert metrics.group("site-0") == "site-0"
    assert metrics.group("site-9999") == "other"
