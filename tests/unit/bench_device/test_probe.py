"""The file that measures on a device: what it makes of clocks, sensors and shares of a processor."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from narrows.models.split.device import PROBE
from narrows.models.split.probe import (
    WINDOW_S,
    Meter,
    Share,
    peak_rss_bytes,
    percentiles,
    slowdown,
    throttle,
    timed_runs,
    warmth,
)
from tests.docs.blocks import ROOT

NETWORK = ROOT / "bundles/demo/camera_decoder.int8.onnx"


def give(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{value}\n")


class Clock:
    """A run moves it, slower from run to run."""

    def __init__(self, took_s: Iterator[float]) -> None:
        self.now_s, self._took_s = 100.0, took_s

    def __call__(self) -> float:
        return self.now_s

    def run(self) -> None:
        self.now_s += next(self._took_s)


def test_percentiles_are_by_nearest_rank() -> None:
    assert percentiles([float(ms) for ms in range(200, 0, -1)]) == {
        "p50": 100.0,
        "p90": 180.0,
        "p95": 190.0,
        "p99": 198.0,
        "max": 200.0,
    }
    assert set(percentiles([7.0]).values()) == {7.0}


def test_it_runs_so_often_and_so_long_whichever_is_more() -> None:
    often = Clock(iter([0.5] * 99))
    assert timed_runs(often.run, 5, 1.0, often, dict).whole_ms == [500.0] * 5
    long = Clock(iter([0.5] * 99))
    assert len(timed_runs(long.run, 1, 4.0, long, dict).whole_ms) == 8


def test_a_device_that_slows_down_is_seen_window_by_window() -> None:
    clock = Clock(iter([1.0] * 10 + [2.0] * 5 + [2.5] * 4))
    found = timed_runs(clock.run, 1, 3 * WINDOW_S, clock, lambda: {"temperature_c": 60.0})
    assert found.windows == [
        {"at_s": 10.0, "runs": 10, "p50_ms": 1000.0, "temperature_c": 60.0},
        {"at_s": 20.0, "runs": 5, "p50_ms": 2000.0, "temperature_c": 60.0},
        {"at_s": 30.0, "runs": 4, "p50_ms": 2500.0, "temperature_c": 60.0},
    ]
    assert slowdown(found.windows) == 2.5
    assert slowdown(found.windows[:1]) is None


def test_the_hottest_sensor_the_slowest_clock_and_all_throttling_are_told(tmp_path: Path) -> None:
    assert warmth(tmp_path) == {"temperature_c": None, "clock_mhz": None, "throttled": None}
    give(tmp_path / "class/thermal/thermal_zone0/temp", 41000)
    give(tmp_path / "class/hwmon/hwmon0/temp1_input", 73500)
    give(tmp_path / "class/hwmon/hwmon0/temp2_input", "asleep")
    for core, khz, throttled in ((0, 1800000, 3), (1, 600000, 4)):
        give(tmp_path / f"devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", khz)
        give(tmp_path / f"devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_count", throttled)
    assert warmth(tmp_path) == {"temperature_c": 73.5, "clock_mhz": 600.0, "throttled": 7}


def test_energy_is_rapls_before_hwmons_counters_before_its_meters(tmp_path: Path) -> None:
    assert (Meter(tmp_path).source, Meter(tmp_path).stop()) == (None, None)
    give(tmp_path / "class/hwmon/hwmon0/power1_input", 2_000_000)
    meter = Meter(tmp_path)
    assert meter.source == "hwmon power"
    while not (joules := meter.stop()):  # the first reading may not have come yet
        meter = Meter(tmp_path)
        time.sleep(0.2)
    assert joules > 0

    give(tmp_path / "class/hwmon/hwmon1/energy1_input", 500)
    meter = Meter(tmp_path)
    give(tmp_path / "class/hwmon/hwmon1/energy1_input", 2_000_500)
    assert (meter.source, meter.stop()) == ("hwmon energy", 2.0)

    zone = tmp_path / "class/powercap/intel-rapl:0"
    for name, value in (("name", "package-0"), ("max_energy_range_uj", 999), ("energy_uj", 990)):
        give(zone / name, value)
    meter = Meter(tmp_path)
    give(zone / "energy_uj", 20)
    assert meter.source == "rapl"
    assert meter.stop() == pytest.approx(30e-6)


def test_a_counter_that_begins_anew_more_than_once_is_read_in_between(tmp_path: Path) -> None:
    """RAPL's has 32 bits of 15 microjoules: a server of 200 W fills it in five minutes, and ten may be measured."""
    zone = tmp_path / "class/powercap/intel-rapl:0"
    for name, value in (("name", "package-0"), ("max_energy_range_uj", 999), ("energy_uj", 900)):
        give(zone / name, value)
    meter = Meter(tmp_path)
    for reading in (600, 300, 0):  # 700 more each
        give(zone / "energy_uj", reading)
        meter.warmth()
    assert meter.stop() == pytest.approx(2100e-6)


def test_peak_memory_is_the_systems_figure(tmp_path: Path) -> None:
    give(tmp_path / "status", "Name:\tpython3\nVmHWM:\t   2048 kB\nVmRSS:\t 1024 kB")
    assert peak_rss_bytes(tmp_path / "status") == 2048 * 1024
    assert peak_rss_bytes(tmp_path / "none") is None


def test_a_share_is_used_up_and_comes_back_and_what_is_not_used_is_not_saved_up() -> None:
    share = Share(0.25, now_s=10.0)
    assert not share.is_used_up(10.4, 0.005)  # a tenth of a second is due by now; a period's is kept
    assert share.is_used_up(10.4, 0.011)
    assert share.is_used_up(10.402, 0.011)
    assert not share.is_used_up(10.41, 0.011)


def test_a_process_with_a_quarter_of_a_core_takes_four_times_as_long(tmp_path: Path) -> None:
    work = "import time\nbegun = time.monotonic()\nwhile time.process_time() < 0.4: pass\n"
    told = f"open({str(tmp_path / 'took')!r}, 'w').write(str(time.monotonic() - begun))"
    assert throttle([sys.executable, "-c", work + told], 0.25) == 0
    assert float((tmp_path / "took").read_text()) > 0.4 / 0.25 / 2  # a busy machine only makes it more


def test_how_a_throttled_command_ends_is_passed_on() -> None:
    assert throttle([sys.executable, "-c", "raise SystemExit(3)"], 0.5) == 3


def test_the_file_alone_measures_a_network_with_several_inputs(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_bytes(PROBE.read_bytes())
    command = [sys.executable, "-I", "probe.py", str(NETWORK), "--runs=3", "--seconds=0", "--cores=0.9"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["runs"] == len(found["whole_ms"]) == 3
    assert found["rss_peak_bytes"] > found["rss_before_bytes"] > 1e6
    assert sum(found["operators"].values()) == pytest.approx(sum(us for _, us in found["nodes"]))
    assert {"QLinearConv", "Resize"} <= found["operators"].keys()
    assert list(tmp_path.iterdir()) == [tmp_path / "probe.py"]


def test_long_measurements_keep_few_of_their_runs() -> None:
    clock = Clock(0.001 for _ in count())
    assert len(timed_runs(clock.run, 5000, 0.0, clock, dict).whole_ms) == 5000
