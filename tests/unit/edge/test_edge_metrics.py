"""The camera's own metrics: what they say, where, and to whom."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_client import exposition
from edge_client.exposition import served, written
from edge_client.health import EdgeHealth
from edge_client.metrics import EdgeMetrics
from edge_client.reading import Reading
from edge_client.stats import Tally
from edge_client.transport.server_clock import Estimate
from narrows.contract.errors import ServiceError, StateError
from narrows.runtime.exposure import Exposure

TOKEN = "a token nobody guesses"


def shown(metrics: EdgeMetrics, token: str | None = None, reading: Reading | None = None) -> Exposure:
    return Exposure(metrics.registry, EdgeHealth("gate-3", lambda: reading or Reading(Tally().snapshot())), token)


def busy() -> EdgeMetrics:
    tally = Tally()
    for _ in range(5):
        tally.taken(0.02, 0.001)
    tally.sent(700)
    tally.arrived(0.15)
    tally.arrived(7200.0)
    tally.dropped("queue_full")
    tally.link_failed("unreachable")
    tally.camera("frozen", "frozen")
    clock = Estimate(-3.5, 0.02)
    return EdgeMetrics(lambda: Reading(tally.snapshot(), "unreachable", clock, spool_frames=3, spool_bytes=900))


def samples(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def get(address: str, token: str | None = None, path: str = "/metrics") -> str:
    request = urllib.request.Request(f"http://{address}{path}")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def test_prometheus_reads_what_the_counters_say() -> None:
    with served(shown(busy()), "127.0.0.1:0") as address:
        found = samples(get(address))
    assert found["narrows_edge_frames_taken_total", ""] == 5
    assert found["narrows_edge_frames_dropped_total", "queue_full"] == 1
    assert found["narrows_edge_link_failures_total", "unreachable"] == 1
    assert found["narrows_edge_camera_state", "frozen"] == 1
    assert found["narrows_edge_camera_state", "ok"] == 0
    assert found["narrows_edge_camera_events_total", "frozen"] == 1
    assert found["narrows_edge_link_up", ""] == 0
    assert found["narrows_edge_spool_frames", ""] == 3
    assert found["narrows_edge_clock_offset_seconds", ""] == -3.5
    assert found["narrows_edge_clock_error_seconds", ""] == 0.02
    assert found["narrows_edge_latency_seconds_bucket", "0.1"] == 0
    assert found["narrows_edge_latency_seconds_bucket", "0.2"] == 1
    assert found["narrows_edge_latency_seconds_bucket", "+Inf"] == 2
    assert found["narrows_edge_latency_seconds_count", ""] == 2


def test_what_is_planned_is_shown_where_there_is_a_plan() -> None:
    reading = Reading(Tally().snapshot(), design="cut 1, level 0", design_reason="first plan", design_changes={"x": 2})
    with served(shown(EdgeMetrics(lambda: reading)), "127.0.0.1:0") as address:
        found = samples(get(address))
    assert found["narrows_edge_design", "cut 1, level 0"] == 1
    assert found["narrows_edge_design_changes_total", "x"] == 2
    with served(shown(busy()), "127.0.0.1:0") as address:
        assert "narrows_edge_design" not in get(address)


def test_an_unknown_clock_is_not_shown_as_a_right_one() -> None:
    metrics = EdgeMetrics(lambda: Reading(Tally().snapshot()))
    with served(shown(metrics), "localhost:0") as address:
        assert "narrows_edge_clock" not in get(address)


def test_whoever_has_no_token_sees_nothing() -> None:
    with served(shown(busy(), TOKEN), "0.0.0.0:0") as bound:
        address = bound.replace("0.0.0.0", "127.0.0.1")
        for wrong in (None, TOKEN + "x", "", "ünknown"):
            with pytest.raises(urllib.error.HTTPError, match="401"):
                get(address, wrong and wrong.encode().decode("latin-1"))
        assert "narrows_edge_frames_taken_total" in get(address, TOKEN)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(address, TOKEN, "/")


@pytest.mark.parametrize(
    ("address", "token", "message"),
    [
        ("0.0.0.0:0", None, "--http-token"),
        ("[::]:0", None, "--http-token"),
        ("camera.local:9467", None, "--http-token"),
        ("127.0.0.1:0", "short", "can be guessed"),
        ("9467", None, "HOST:PORT"),
        ("127.0.0.1:99999", None, "HOST:PORT"),
    ],
)
def test_an_address_that_lets_strangers_in_or_makes_no_sense_is_refused(
    address: str, token: str | None, message: str
) -> None:
    with pytest.raises(ServiceError, match=message), served(shown(busy(), token), address):
        pass


def test_a_taken_port_is_named() -> None:
    with (
        served(shown(busy()), "127.0.0.1:0") as address,
        pytest.raises(ServiceError, match="choose another"),
        served(shown(busy()), address),
    ):
        pass


def test_the_file_is_there_at_once_and_last_written_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "_FILE_PERIOD_S", 3600.0)
    tally = Tally()
    path = tmp_path / "narrows.prom"
    with written(EdgeMetrics(lambda: Reading(tally.snapshot())).registry, path):
        assert samples(path.read_text())["narrows_edge_frames_taken_total", ""] == 0
        tally.taken(0.1, 0.1)
    assert samples(path.read_text())["narrows_edge_frames_taken_total", ""] == 1
    assert list(tmp_path.iterdir()) == [path], "no draft is left"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="--metrics-file"), written(busy().registry, tmp_path / "absent" / "n.prom"):
        pass


def test_a_probe_says_why_a_camera_is_not_ready() -> None:
    with served(shown(busy()), "127.0.0.1:0") as address:
        assert json.loads(get(address, path="/readyz")) == {"ready": True, "reasons": []}
        assert json.loads(get(address, path="/healthz")) == {"stream": "gate-3", "frames_sent": 0}
    tally = Tally()
    tally.camera("away", "away")
    ill = shown(busy(), TOKEN, Reading(tally.snapshot(), "unreachable"))
    reasons = ["Redis takes no packets: unreachable", "the camera is away"]
    for token, told in ((None, []), (TOKEN, reasons)):
        with served(ill, "127.0.0.1:0") as address, pytest.raises(urllib.error.HTTPError, match="503") as refused:
            get(address, token, "/readyz")
        assert json.loads(refused.value.read()) == {"ready": False, "reasons": told}
        refused.value.close()
