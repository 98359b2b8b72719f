"""``narrows demo`` on the real stack: every frame accounted for, good masks, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from PIL import Image

from narrows.contract.wire import FeaturePacket, StreamKeys

ROOT = Path(__file__).resolve().parents[3]
TAG = "NARROWS_TEST_TAG"
pytestmark = pytest.mark.timeout(300)


class Demo:
    """A demo in a process of its own; whatever it starts carries a tag in its environment."""

    def __init__(self, out: Path, *arguments: str, **variables: str) -> None:
        self.tag = secrets.token_hex(8)
        out.mkdir(exist_ok=True)
        self.output = out / "demo.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "narrows.cli", "demo", "--headless", "--out", str(out / "overlays"), *arguments],
                cwd=ROOT,
                env=os.environ | variables | {TAG: self.tag},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def living(self) -> list[str]:
        """The command lines of the living processes that the demo started, itself among them."""
        return [line for _, line in self._living()]

    def find(self, words: str) -> int:
        """The id of the living process whose command line has these words, and is no guardian's."""
        (found,) = [pid for pid, line in self._living() if words in line and "guardian" not in line]
        return found

    def command_line(self, words: str) -> str:
        """The command line of that process."""
        return dict(self._living())[self.find(words)]

    def _living(self) -> list[tuple[int, str]]:
        processes = Path("/proc").glob("[0-9]*")
        found = [(int(each.name), _command_line(each, f"{TAG}={self.tag}", self.output.parent)) for each in processes]
        return [(pid, line) for pid, line in found if line]

    def wait_for_masks(self) -> None:
        """Until overlays appear; the limit is only there to end a test that fails."""
        give_up_s = time.monotonic() + 120
        while not list(self.output.parent.glob("overlays/*.png")):
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < give_up_s, self.output.read_text()
            time.sleep(0.1)

    def nothing_is_left(self) -> bool:
        """Whether all that carried the tag is gone; the limit is only there to end a test that fails."""
        give_up_s = time.monotonic() + 60
        while self.living() and time.monotonic() < give_up_s:
            time.sleep(0.1)
        return not self.living()


def _command_line(process: Path, tag: str, folder: Path) -> str:
    """A process's command line if it carries the tag or works in the folder (Valkey writes its title over its tag)."""
    try:
        tagged = tag.encode() in (process / "environ").read_bytes().split(b"\0")
        if tagged or (process / "cwd").readlink().is_relative_to(folder):
            return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        pass  # it ended while we looked, or is not ours to look into
    return ""


@pytest.fixture
def endless(tmp_path: Path, hang_up_ends: None) -> Iterator[Demo]:
    """A demo in full swing."""
    demo = Demo(tmp_path, "--report", str(tmp_path / "report.json"))
    try:
        demo.wait_for_masks()
        yield demo
    finally:
        demo.process.kill()
        demo.process.wait()


def test_a_bounded_demo_accounts_for_every_frame_and_leaves_nothing(tmp_path: Path) -> None:
    report_path = tmp_path / "report.json"
    demo = Demo(tmp_path, "--frames", "6", "--streams", "2", "--report", str(report_path))
    assert demo.process.wait(timeout=240) == 0, demo.output.read_text()
    report = json.loads(report_path.read_text())
    assert report["frames_sent"] == 12 == report["masks_received"] + sum(report["frames_dropped"].values())
    assert (report["duplicates"], report["unaccounted"], report["faults"], report["streams"]) == (0, 0, [], 2)
    assert report["miou"] > 0.4
    assert 0 < report["bits_per_pixel"] < 0.2
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p95"] <= report["latency_ms"]["p99"]
    assert report["triton"]["model"].startswith("decoder_")
    assert report["triton"]["backend"] == "onnxruntime"
    assert report["triton"]["version"]
    assert report["redis"]["version"]
    assert report["kbps_per_stream"] > 0
    overlays = sorted((tmp_path / "overlays").glob("*.png"))
    assert {path.name[:5] for path in overlays} == {"cam-1", "cam-2"}
    with Image.open(overlays[0]) as overlay:  # noqa: TID251
        assert overlay.size == (960, 360)
    assert str(tmp_path / "overlays") in demo.output.read_text()
    assert demo.nothing_is_left(), demo.living()
    assert not list((tmp_path / "overlays").glob("stack-*"))


def test_cameras_that_are_told_to_make_masks_do_so_from_the_first_frame(tmp_path: Path) -> None:
    report_path = tmp_path / "report.json"
    options = ("--frames", "4", "--streams", "1", "--send", "masks", "--report", str(report_path))
    demo = Demo(tmp_path, *options)
    assert demo.process.wait(timeout=240) == 0, demo.output.read_text()
    report = json.loads(report_path.read_text())
    assert (report["masks_received"], report["masks_made_by"]) == (4, {"camera": 4, "cloud": 0})
    assert report["miou"] > 0.4
    assert "4 masks (4 made by cameras, 0 in the cloud)" in demo.output.read_text()


def test_a_killed_demo_leaves_no_process(endless: Demo) -> None:
    assert all(endless.find(part) for part in ("valkey-server", "/tritonserver ", "cli orchestrate", "cam-1", "cam-2"))
    endless.process.send_signal(signal.SIGKILL)
    assert endless.process.wait(timeout=60) == -signal.SIGKILL
    assert endless.nothing_is_left(), endless.living()


def test_ctrl_c_ends_the_demo_with_a_summary_and_leaves_no_process(endless: Demo) -> None:
    endless.process.send_signal(signal.SIGINT)
    assert endless.process.wait(timeout=120) in (0, 130), endless.output.read_text()
    summary = endless.output.read_text()
    assert "mIoU" in summary
    assert "Traceback" not in summary
    assert "unaccounted" not in summary
    assert endless.nothing_is_left(), endless.living()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_end_leaves_neither_process_nor_folder(endless: Demo, number: int) -> None:
    endless.process.send_signal(number)
    assert endless.process.wait(timeout=120) == 128 + number, endless.output.read_text()
    said = endless.output.read_text()
    assert "Traceback" not in said
    assert (" sent = " in said) == (number == signal.SIGTERM)  # the terminal is closed at a SIGHUP
    assert endless.nothing_is_left(), endless.living()
    assert json.loads((endless.output.parent / "report.json").read_text())["faults"] == []
    assert stack_folders(endless) == []


def test_a_demo_that_is_told_to_end_while_it_starts_leaves_nothing_either(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    give_up_s = time.monotonic() + 60
    while not list(tmp_path.glob("overlays/stack-*/redis/redis.log")):
        assert time.monotonic() < give_up_s, demo.output.read_text()
        time.sleep(0.01)
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(timeout=120) == 128 + signal.SIGTERM, demo.output.read_text()
    assert demo.nothing_is_left(), demo.living()
    assert stack_folders(demo) == []


def test_a_second_demo_in_the_same_folder_is_refused_and_a_killed_ones_remains_go_with_the_next(
    endless: Demo, tmp_path: Path
) -> None:
    (living,) = stack_folders(endless)
    second = Demo(tmp_path / "second", "--out", str(tmp_path / "overlays"))
    assert second.process.wait(timeout=60) == 1
    assert "another demo's: give this one another --out" in second.output.read_text()
    assert stack_folders(endless) == [living]
    endless.process.send_signal(signal.SIGKILL)
    endless.process.wait(timeout=60)
    assert endless.nothing_is_left(), endless.living()
    assert stack_folders(endless) == [living]
    third = Demo(tmp_path / "third", "--frames", "1", "--streams", "1", "--out", str(tmp_path / "overlays"))
    assert third.process.wait(timeout=120) == 0, third.output.read_text()
    assert stack_folders(endless) == []


def stack_folders(demo: Demo) -> list[str]:
    """The folders of running stacks in the demo's folder, and of those that were left."""
    return [path.name for path in (demo.output.parent / "overlays").glob("stack-*")]


def test_a_bundle_that_is_none_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--bundle", str(tmp_path))
    assert demo.process.wait(timeout=60) == 1
    assert demo.output.read_text().startswith("narrows: ")
    assert demo.output.read_text().count("\n") == 1
    assert demo.nothing_is_left()


def test_a_machine_without_triton_is_told_what_to_do_and_nothing_is_left(tmp_path: Path) -> None:
    demo = Demo(tmp_path, NARROWS_TRITON_ENV=str(tmp_path / "nowhere"))
    assert demo.process.wait(timeout=60) == 1
    assert "make setup" in demo.output.read_text()
    assert demo.nothing_is_left(), demo.living()


def test_a_frame_that_vanishes_on_the_way_is_named_and_fails_the_demo(tmp_path: Path) -> None:
    """The dispatcher is frozen while a frame that it has not read is deleted, as a trimmed stream would lose it."""
    demo = Demo(tmp_path, "--frames", "30", "--streams", "1", "--drain", "4", "--report", str(tmp_path / "report.json"))
    demo.wait_for_masks()
    dispatcher = demo.find("narrows.cli orchestrate")
    os.kill(dispatcher, signal.SIGSTOP)
    try:
        deleted = _delete_a_waiting_frame(demo)
    finally:
        os.kill(dispatcher, signal.SIGCONT)
    assert demo.process.wait(timeout=120) == 1, demo.output.read_text()
    report = json.loads((tmp_path / "report.json").read_text())
    unread = sum(report["frames_dropped"].values())  # frames predicted from the one that vanished, until the next key
    assert set(report["frames_dropped"]) <= {"reference_lost"}
    assert (report["frames_sent"], report["masks_received"] + unread, report["unaccounted"]) == (30, 29, 1)
    assert report["faults"] == [f"cam-1: 1 frame sent and never ended: sequence {deleted}"]
    assert "the logs are in" in demo.output.read_text()
    assert demo.nothing_is_left(), demo.living()


def _delete_a_waiting_frame(demo: Demo) -> int:
    """Delete the newest frame that no dispatcher has been given; answers its sequence."""
    (redis_port,) = re.findall(r"valkey-server \S+:(\d+)", demo.command_line("valkey-server"))
    key = StreamKeys.of("cam-1", 4).features
    with redis.Redis(port=int(redis_port)) as client:
        give_up_s = time.monotonic() + 60
        while time.monotonic() < give_up_s:
            given: Any = client.xinfo_groups(key)[0]["last-delivered-id"]  # its blocked read still takes one
            waiting: Any = client.xrange(key, min=f"({given.decode()}")
            if len(waiting) >= 2:
                entry, fields = waiting[-1]
                assert client.xdel(key, entry) == 1
                return FeaturePacket.parse(fields[b"p"]).sequence
            time.sleep(0.05)
    raise AssertionError(demo.output.read_text())


def test_a_part_that_dies_ends_the_demo_by_name_and_leaves_no_process(endless: Demo) -> None:
    os.kill(endless.find("narrows.cli orchestrate"), signal.SIGKILL)
    assert endless.process.wait(timeout=120) == 1
    assert "narrows: narrows orchestrate ended with status 137" in endless.output.read_text()
    assert endless.nothing_is_left(), endless.living()


def test_a_triton_that_dies_is_started_again_and_the_demo_goes_on(endless: Demo) -> None:
    os.kill(endless.find("/tritonserver "), signal.SIGKILL)
    give_up_s = time.monotonic() + 60
    while "tritonserver ended by itself and was started again" not in endless.output.read_text():
        assert endless.process.poll() is None, endless.output.read_text()
        assert time.monotonic() < give_up_s, endless.output.read_text()
        time.sleep(0.1)
    last_ns = newest_overlay_ns(endless)
    while newest_overlay_ns(endless) == last_ns:
        assert endless.process.poll() is None, endless.output.read_text()
        assert time.monotonic() < give_up_s, endless.output.read_text()
        time.sleep(0.1)


def newest_overlay_ns(demo: Demo) -> int:
    """When the last overlay was written; those that are removed while we look are old."""
    times = [0]
    for path in demo.output.parent.glob("overlays/*.png"):
        with suppress(FileNotFoundError):
            times.append(path.stat().st_mtime_ns)
    return max(times)
