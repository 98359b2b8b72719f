"""Claims about the one exposition of several processes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from orchestrator.processes.exposition import merged
from orchestrator.processes.metrics import ProcessMetrics
from orchestrator.telemetry.metrics import Metrics


def text_of(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def samples(text: str) -> list[Sample]:
    return [each for family in text_string_to_metric_families(text) for each in family.samples]


def dispatcher(frames: int) -> str:
    metrics = Metrics()
    metrics.frames.labels("mask", "", "gates").inc(frames)
    metrics.took("total", 0.1)
    return text_of(metrics.registry)


def test_each_process_keeps_its_own_series_under_its_number() -> None:
    found = {
        each.labels["process"]: each.value
        for each in samples(merged("", {"1": dispatcher(5), "2": dispatcher(7)}))
        if each.name == "narrows_frames_total" and each.labels["outcome"] == "mask"
    }
    assert found == {"1": 5.0, "2": 7.0}


def test_samples_of_the_supervisor_stay_as_they_are_beside_those_of_the_same_name() -> None:
    own = ProcessMetrics(["1"])
    own.up.labels("1").set(1)
    found = samples(merged(text_of(own.registry), {"1": dispatcher(1)}))
    assert [each.labels for each in found if each.name == "process_start_time_seconds"] == [{}, {"process": "1"}]
    assert [each.labels for each in found if each.name == "narrows_dispatcher_process_up"] == [{"process": "1"}]


def test_what_the_parser_of_the_client_library_finds_is_each_ones_samples_and_their_label() -> None:
    one, two = dispatcher(1), dispatcher(2)
    whole = samples(merged("", {"1": one, "2": two}))
    for process, text in (("1", one), ("2", two)):
        theirs = [each for each in whole if each.labels["process"] == process]
        assert theirs == [each._replace(labels=each.labels | {"process": process}) for each in samples(text)]


def test_a_metric_has_one_help_one_type_and_its_samples_together() -> None:
    text = merged(text_of(ProcessMetrics(["1", "2"]).registry), {"1": dispatcher(1), "2": dispatcher(2)})
    lines = text.splitlines()
    heads = [line for line in lines if line.startswith("#")]
    assert len(heads) == len(set(heads))
    assert len({line.split()[2] for line in heads}) * 2 == len(heads)
    at = [i for i, line in enumerate(lines) if line.startswith("narrows_frames_total{")]
    assert at == list(range(at[0], at[-1] + 1))


@given(st.dictionaries(st.text(), st.floats(), max_size=4), st.text())
def test_whatever_a_label_or_a_help_text_holds_is_read_back(values: dict[str, float], help_text: str) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("a", help_text, ["of"], registry=registry)
    for label, value in values.items():
        gauge.labels(label).set(value)
    Counter("b", "plain", registry=registry).inc(3)
    Histogram("c", "buckets", registry=registry).observe(1)
    text = text_of(registry)
    wanted = [(each.name, each.labels | {"process": "7"}, repr(each.value)) for each in samples(text)]  # NaN too
    assert [(each.name, each.labels, repr(each.value)) for each in samples(merged("", {"7": text}))] == wanted


def test_what_is_no_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="no sample"):
        merged("", {"1": "# HELP a b\n# TYPE a gauge\nnonsense\n"})
