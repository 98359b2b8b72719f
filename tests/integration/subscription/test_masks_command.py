"""``narrows masks tail`` as a person types it, against a real Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import redis
from PIL import Image

from narrows.client.painting import Legend
from narrows.contract.wire import FrameIdentity, Install, MaskPacket, Skip, StreamKeys
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.contract.wire.mask import class_areas
from narrows.contract.wire.outcome import outcome_to_json
from orchestrator.servers import LocalRedis

DEMO_BUNDLE = Path(__file__).resolve().parents[3] / "bundles" / "demo"
KEY = StreamKeys.of("cam-1", 4).outcomes
LEGEND = Legend.of_bundle(DEMO_BUNDLE)
LABELS = np.array([[0, 1, 1], [3, 3, 3]], np.uint8)


def command(server: LocalRedis, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "narrows.cli", "masks", "tail", "cam-1", "--redis-url", server.url, *arguments]


def tail(server: LocalRedis, *arguments: str) -> list[dict[str, object]]:
    shown = subprocess.run(
        command(server, "--from", "0", *arguments), capture_output=True, text=True, timeout=60, check=True
    )
    return [json.loads(line) for line in shown.stdout.splitlines()]


def publish_mask(client: redis.Redis, sequence: int) -> None:
    areas = class_areas(LABELS, len(LEGEND.names))
    packet = MaskPacket(
        LEGEND.bundle_id or 0, FrameIdentity(9, sequence), int(time.time() * 1000), 1, 90, LABELS, areas
    )
    client.xadd(KEY, {"k": "mask", "p": packet.to_bytes()})


def test_each_outcome_is_a_line_of_json(server: LocalRedis, client: redis.Redis) -> None:
    publish_mask(client, 0)
    client.xadd(KEY, {"k": "skipped", "p": outcome_to_json(Skip(FrameIdentity(9, 1), "stale"))})
    mask, skip = tail(server, "--count", "2", "--bundle", str(DEMO_BUNDLE))
    assert (mask["kind"], mask["epoch"], mask["sequence"], mask["level"]) == ("mask", 9, 0, 1)
    areas = mask["areas"]
    assert isinstance(areas, dict)
    assert {name: pixels for name, pixels in areas.items() if pixels} == {"sky": 1, "building": 2, "road": 3}
    assert (skip["kind"], skip["reason"], skip["stream"]) == ("skipped", "stale", "cam-1")


def test_it_waits_for_an_install_and_says_so(tmp_path: Path) -> None:
    with (
        LocalRedis.start(tmp_path) as empty,
        redis.Redis.from_url(empty.url) as client,
        subprocess.Popen(
            command(empty, "--from", "0", "--count", "1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as waiting,
    ):
        assert waiting.stderr is not None
        said = waiting.stderr.readline()
        client.set(INSTALL_KEY, Install(4).to_json())
        publish_mask(client, 7)
        printed, rest = waiting.communicate(timeout=60)
    assert said.startswith("narrows: waiting: narrows:install is not in this Redis: start `narrows orchestrate`")
    assert (json.loads(printed)["sequence"], rest) == (7, "")


def test_it_says_that_nothing_comes_and_where_to_look(server: LocalRedis, client: redis.Redis) -> None:
    with subprocess.Popen(
        command(server, "--count", "1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stderr is not None
        said = waiting.stderr.readline()
        publish_mask(client, 8)
        printed, rest = waiting.communicate(timeout=60)
    assert said.startswith("narrows: waiting: no frame of cam-1 ends: is its camera running (`narrows streams list`)")
    assert (json.loads(printed)["sequence"], rest) == (8, "")


def test_it_does_not_wait_for_a_password_that_is_refused(server: LocalRedis) -> None:
    url = server.url.replace("://", "://camera:wrong@")
    done = subprocess.run(
        [*command(server), "--redis-url", url], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "waiting" not in done.stderr
    assert "wrong" not in done.stderr.replace("WRONGPASS", "")


def test_waiting_too_has_an_end_where_one_is_given(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path) as empty:
        done = subprocess.run(command(empty, "--timeout", "0"), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("narrows: narrows:install is not in this Redis")


def test_a_line_names_the_entry_to_resume_from(server: LocalRedis, client: redis.Redis) -> None:
    publish_mask(client, 0)
    publish_mask(client, 1)
    first = tail(server, "--count", "1")[0]
    rest = subprocess.run(
        command(server, "--from", str(first["entry"]), "--timeout", "0.3"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert [json.loads(line)["sequence"] for line in rest.stdout.splitlines()] == [1]


def test_each_mask_becomes_a_palette_picture(server: LocalRedis, client: redis.Redis, tmp_path: Path) -> None:
    publish_mask(client, 5)
    (line,) = tail(server, "--count", "1", "--format", "png", "--out", str(tmp_path), "--bundle", str(DEMO_BUNDLE))
    with Image.open(str(line["file"])) as picture:  # noqa: TID251
        assert np.array_equal(np.asarray(picture), LABELS)
        assert np.array_equal(np.asarray(picture.convert("RGB")), LEGEND.palette()[LABELS])


def test_ctrl_c_ends_it_without_a_word(server: LocalRedis, client: redis.Redis) -> None:
    publish_mask(client, 0)
    with subprocess.Popen(
        command(server, "--from", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout is not None
        assert "mask" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (130, "")
