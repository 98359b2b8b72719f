"""``narrows edge --once`` on a real camera program's machine and a real Redis: one line a check, one verdict."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import redis
from PIL import Image

from narrows.contract.bundle import Bundle
from narrows.contract.records.report import BundleReport, DispatcherReport
from narrows.contract.wire import Control, Install, StreamKeys
from narrows.contract.wire.keys import INSTALL_KEY, ScaleKeys
from orchestrator.servers.local_redis import LocalRedis

ROOT = Path(__file__).resolve().parents[3]
KEYS = StreamKeys.of("cam-1", 4)


def once(folder: Path, url: str, bundle: Bundle, source: Path, *options: str) -> tuple[int, dict[str, str], str]:
    """Run it: exit status, what each check's line says, and the verdict."""
    command = [sys.executable, "-m", "narrows.cli", "edge", "--once", "--source", str(source), "--stream-id", "cam-1"]
    command += ["--redis-url", url, "--bundle", str(bundle.folder), "--state-dir", str(folder / "state"), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)
    assert "Traceback" not in done.stderr, done.stderr
    *lines, verdict = done.stdout.splitlines()
    return done.returncode, {line.split()[1]: line for line in lines}, verdict


def _report(admin: redis.Redis, bundle: str) -> bytes:
    """What a dispatcher that serves one bundle says."""
    seconds, _ = admin.time()
    return DispatcherReport("d1", seconds * 1000, bundles={bundle: BundleReport()}).to_json()


def test_a_camera_that_can_work_is_ready_and_sends_nothing(
    tmp_path: Path, server: LocalRedis, admin: redis.Redis, bundle: Bundle, samples: Path
) -> None:
    admin.set(INSTALL_KEY, Install(4).to_json())
    admin.set(KEYS.control, Control(level=2).to_json())
    admin.hset(ScaleKeys.REPORTS, "d0", "{")  # one that cannot be read hides no other
    admin.hset(ScaleKeys.REPORTS, "d1", _report(admin, bundle.hex_id))
    status, lines, verdict = once(tmp_path, server.url, bundle, samples, "--spool-mb", "1", "--fps", "0.1")
    assert (status, verdict) == (0, "READY: cam-1 can send"), lines
    assert all(line.startswith("ok") for line in lines.values()), lines
    assert "480x360, brightness" in lines["camera"]
    assert "ms a frame" in lines["encoder"]
    assert "asks for level 2" in lines["control"]
    assert "give or take" in lines["clock"]
    assert not admin.exists(KEYS.features)
    assert not (tmp_path / "state" / "epoch").exists(), "a test is no boot"


def test_a_redis_that_is_away_is_the_verdict(tmp_path: Path, server: LocalRedis, bundle: Bundle, samples: Path) -> None:
    server.stop()
    status, lines, verdict = once(tmp_path, server.url, bundle, samples, "--fps", "0.1")
    assert (status, verdict) == (1, "NOT READY: redis")
    assert "unreachable" in lines["redis"]
    assert "is Redis up" in lines["redis"]


def test_rights_memory_and_role_are_found_out_without_a_packet(
    tmp_path: Path, server: LocalRedis, admin: redis.Redis, bundle: Bundle, samples: Path
) -> None:
    admin.set(INSTALL_KEY, Install(4).to_json())
    rules = ("on", ">pw", f"~{INSTALL_KEY}", f"~{KEYS.control}", "+get", "+ping", "+xadd")
    admin.execute_command("ACL", "SETUSER", "cam", *rules)  # type: ignore[no-untyped-call]
    url = server.url.replace("redis://", "redis://cam:pw@")
    status, lines, verdict = once(tmp_path, url, bundle, samples, "--fps", "0.1")
    assert (status, verdict) == (1, "NOT READY: write (look at: clock)")
    assert "not_permitted" in lines["write"]
    assert "cannot be seen from here" in lines["cloud"]
    assert not any("pw@" in line for line in lines.values()), "no password is shown"
    _, lines, _ = once(tmp_path, url.replace("pw@", "wrong@"), bundle, samples, "--fps", "0.1")
    assert "credentials_refused" in lines["redis"]
    admin.config_set("maxmemory", 1)
    _, lines, _ = once(tmp_path, server.url, bundle, samples, "--fps", "0.1")
    assert "out_of_memory" in lines["write"]


def test_a_covered_lens_and_an_unknown_bundle_are_named(
    tmp_path: Path, server: LocalRedis, admin: redis.Redis, bundle: Bundle
) -> None:
    admin.set(INSTALL_KEY, Install(4).to_json())
    admin.hset(ScaleKeys.REPORTS, "d1", _report(admin, "0123456789abcdef"))
    (tmp_path / "dark").mkdir()
    Image.new("RGB", (640, 480), (3, 3, 3)).save(tmp_path / "dark" / "0.png")
    status, lines, verdict = once(tmp_path, server.url, bundle, tmp_path / "dark", "--fps", "0.1")
    assert (status, verdict) == (1, "NOT READY: cloud (look at: camera)")
    assert "640x480, brightness 1 %: black" in lines["camera"]
    assert "is not served, only 0123456789abcdef" in lines["cloud"]


def test_all_that_is_missing_is_in_the_verdict(
    tmp_path: Path, server: LocalRedis, admin: redis.Redis, bundle: Bundle, samples: Path
) -> None:
    admin.set(INSTALL_KEY, Install(4).to_json())
    missing = ("--source", "absent", "--level", "250", "--state-dir", "/proc/narrows", "--key-file", "absent")
    status, lines, verdict = once(tmp_path, server.url, bundle, samples, "--fps", "0.1", *missing)
    assert (status, verdict) == (1, "NOT READY: camera, encoder, state, key (look at: cloud)"), lines
    assert all("->" in lines[subject] for subject in ("camera", "encoder", "state", "key", "cloud"))
    status, _, verdict = once(tmp_path, server.url, bundle, samples, "--bundle", "absent")
    assert (status, verdict) == (1, "NOT READY: bundle")
