"""``narrows simulate-scaling``: its JSON, and errors that name the place."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from narrows.cli.root import app


def run(trace: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["simulate-scaling", "--trace", str(trace), *options])


@pytest.fixture
def hump(tmp_path: Path) -> Path:
    path = tmp_path / "hump.csv"
    rows = [f"{t},{60 if t < 120 or t > 400 else 500},5" for t in range(0, 600, 5)]
    path.write_text("\n".join(["time_s,streams,fps", *rows]) + "\n")
    return path


@pytest.mark.parametrize("policy", ["narrows", "hpa", "keda", "ray-serve", "knative"])
def test_it_writes_the_four_numbers(hump: Path, tmp_path: Path, policy: str) -> None:
    out = tmp_path / "out.json"
    done = run(hump, "--policy", policy, "--json", str(out))
    assert done.exit_code == 0, done.output
    written = json.loads(out.read_text())
    assert written == json.loads(done.output)
    assert written["policy"] == policy
    assert written["replica_hours"] > 0
    assert written["decisions"] > 0
    assert written["violating_stream_seconds"] >= 0
    assert written["worst_backlog_age_s"] >= 0


def test_the_options_change_the_place(hump: Path) -> None:
    def hours(*options: str) -> float:
        found: float = json.loads(run(hump, *options).output)["replica_hours"]
        return found

    usual = hours()
    assert hours("--frame-cost-ms", "25") > usual
    assert hours("--slots", "2") < usual
    assert hours("--parameter", "target_load=0.3") > usual
    assert hours("--min-replicas", "20") > usual


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time_s,streams\n0,1\n", "line 1: no column fps"),
        ("", "line 1: no column time_s, streams, fps"),
        ("time_s,streams,fps\n0,1,5\n1,two,5\n", "line 3, column streams: 'two' is no number"),
        ("time_s,streams,fps\n0,1,5\n1,2\n", "line 3: 2 values, none for column fps"),
        ("time_s,streams,fps\n0,1,5\n1,1.5,5\n", "line 3, column streams: 1.5 is no whole number"),
        ("time_s,streams,fps\n0,1,5\n1,2,-5\n", "line 3, column fps: -5 cannot be"),
        ("time_s,streams,fps\n0,1,nan\n1,2,5\n", "line 2, column fps: nan cannot be"),
        ("time_s,streams,fps\n5,1,5\n5,2,5\n", "line 3, column time_s: 5 is not after 5"),
        ("time_s,streams,fps\n0,1,5\n", "has 1 rows"),
    ],
)
def test_a_bad_trace_is_named_by_line_and_column(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    refused = run(path)
    assert refused.exit_code == 1
    assert said in refused.output
    assert "Traceback" not in refused.output


def test_a_trace_that_is_not_there_is_named(tmp_path: Path) -> None:
    refused = run(tmp_path / "none.csv")
    assert refused.exit_code == 1
    assert "none.csv" in refused.output


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("target_lod=0.5", "did you mean target_load?"),
        ("target_load", "write NAME=VALUE"),
        ("target_load=high", "target_load is a number, not 'high'"),
        ("target_load=3", "target_load 3"),
    ],
)
def test_a_wrong_parameter_is_named(hump: Path, parameter: str, said: str) -> None:
    refused = run(hump, "--parameter", parameter)
    assert refused.exit_code == 1
    assert said in refused.output


def test_a_wrong_metric_is_named(hump: Path) -> None:
    refused = run(hump, "--policy", "hpa", "--parameter", "metric=memory")
    assert "utilisation or frames" in refused.output
