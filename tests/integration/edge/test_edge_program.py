"""The whole program as a process of its own, with a real encoder and a real Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import redis
from PIL import Image

from edge_client.encode.encoder import OnnxEncoder
from narrows.contract.bundle import Bundle
from narrows.contract.codec import Memory, decode_symbols, quantise, remember, symbol_digest
from narrows.contract.wire import Control, FeaturePacket, PacketKind
from narrows.contract.wire.keys import INSTALL_KEY, PACKET_FIELD
from orchestrator.servers.local_redis import LocalRedis
from orchestrator.servers.ports import free_ports
from tests.integration.edge.edge_program import KEYS, PATIENCE_S, ROOT, SHARDS, Launch, metrics, packets


def test_frames_arrive_and_decode_to_the_symbols_that_the_encoder_made(
    launch: Launch, server: LocalRedis, install: redis.Redis, bundle: Bundle, samples: Path
) -> None:
    options = ("--frames", "6", "--fps", "100", "--level", "1")
    journal, end = launch(server.url, bundle, samples, *options).end()
    received = packets(install)
    assert [packet.sequence for packet in received] == list(range(6))
    assert end["frames_sent"] == 6
    encoder = OnnxEncoder(bundle)
    names = sorted(path.stem for path in samples.glob("*.jpg"))
    memory: Memory | None = None
    for packet, line, name in zip(received, journal, names[:6], strict=True):
        bundle.check(packet)
        memory = None if packet.kind is PacketKind.KEY else memory
        symbols = decode_symbols(packet.payload, packet.shape.as_tuple(), bundle.tables, packet.level, memory)
        memory = remember(symbols, memory)
        assert symbol_digest(symbols) == packet.own_digest
        picture = np.asarray(Image.open(samples / f"{name}.jpg").convert("RGB"))  # noqa: TID251
        wanted = quantise(encoder.latent(picture), bundle.gains[1])
        np.testing.assert_array_equal(symbols, bundle.tables.silence(wanted, 1))
        assert (line["name"], line["sequence"], line["epoch"]) == (name, packet.sequence, packet.epoch)
        assert (line["bytes"], line["level"], line["sent"]) == (len(packet.to_bytes()), 1, True)
        assert line["capture_ms"] == packet.capture_ms
        assert line["latency_ms"] >= -line["latency_error_ms"]
        assert 0 < line["latency_error_ms"] < 5000


def test_a_source_that_ends_ends_the_program_and_the_next_boot_has_a_later_epoch(
    launch: Launch, server: LocalRedis, install: redis.Redis, bundle: Bundle, samples: Path
) -> None:
    pictures = len(list(samples.glob("*.jpg")))
    _, first = launch(server.url, bundle, samples, "--fps", "200").end()
    assert first["frames_sent"] == pictures
    launch(server.url, bundle, samples, "--fps", "200", "--frames", "2").end()
    epochs = [packet.epoch for packet in packets(install)]
    assert len(set(epochs[:pictures])) == 1
    assert epochs[pictures] == epochs[pictures + 1] > epochs[0]


def test_sigterm_flushes_and_ends_cleanly(
    launch: Launch, server: LocalRedis, install: redis.Redis, bundle: Bundle, samples: Path
) -> None:
    program = launch(server.url, bundle, samples, "--fps", "50", "--loop")
    program.until(lambda: len(program.lines()) > 5)
    frames, end = program.stop()
    assert end["frames_dropped"] == {}
    assert [packet.sequence for packet in packets(install)] == [line["sequence"] for line in frames]


def test_a_restarted_redis_costs_only_what_did_not_fit_the_queue(
    tmp_path: Path, launch: Launch, server: LocalRedis, install: redis.Redis, bundle: Bundle, samples: Path
) -> None:
    program = launch(server.url, bundle, samples, "--fps", "40", "--loop", "--queue", "5", "--max-age-s", "0")
    program.until(lambda: len(program.lines()) > 5)
    server.stop()
    shed = (
        "queue_full",
        "reference_dropped",
    )  # a frame that does not fit takes those along that were predicted from it
    program.until(lambda: sum(line["reason"] == "queue_full" for line in program.lines()) > 1)
    with LocalRedis.start(tmp_path / "server", port=server.port) as again, redis.Redis.from_url(again.url) as client:
        before = sum(line["sent"] for line in program.lines())
        program.until(lambda: sum(line["sent"] for line in program.lines()) > before + 10)
        frames, end = program.stop()
        arrived = {packet.sequence for packet in packets(client)}
    sent = {line["sequence"] for line in frames if line["sent"]}
    lost = {line["sequence"] for line in frames if line["reason"] in shed}
    assert arrived >= sent
    assert not arrived & lost
    assert sorted(line["sequence"] for line in frames) == list(range(end["frames_taken"]))
    assert sum(end["frames_dropped"].get(reason, 0) for reason in shed) == len(lost)
    assert end["frames_dropped"].keys() <= {*shed, "unconfirmed"}
    assert end["link_failures"]["unreachable"] > 0
    assert "event=redis_failed reason=unreachable" in program.log.read_text()
    assert "Traceback" not in program.log.read_text()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_a_spool_brings_an_outage_and_the_end_of_the_program_through_without_a_gap(
    tmp_path: Path,
    launch: Launch,
    server: LocalRedis,
    install: redis.Redis,
    bundle: Bundle,
    samples: Path,
    ending: signal.Signals,
) -> None:
    options = (
        "--fps",
        "40",
        "--loop",
        "--queue",
        "5",
        "--spool-mb",
        "8",
        "--shards",
        str(SHARDS),
        "--key-period-s",
        "0",
    )
    program = launch(server.url, bundle, samples, *options)
    program.until(lambda: len(program.lines()) > 5)
    server.stop()
    spool = tmp_path / "state" / "spool"
    program.until(lambda: sum(path.stat().st_size for path in spool.glob("*.spool")) > 20_000)
    program.process.send_signal(ending)
    program.process.wait(PATIENCE_S)
    before = program.lines()
    assert not any(line.get("reason") for line in before), "nothing was dropped"
    with LocalRedis.start(tmp_path / "server", port=server.port) as again, redis.Redis.from_url(again.url) as client:
        resumed = launch(server.url, bundle, samples, *options)
        resumed.until(lambda: len({line.get("epoch") for line in resumed.lines() if line.get("sent")}) == 2)
        _, end = resumed.stop()
        identities = [packet.identity for packet in packets(client)]
    first = min(identity.epoch for identity in identities)
    old = [identity.sequence for identity in identities if identity.epoch == first]
    assert list(dict.fromkeys(identities)) == sorted(set(identities)), "in order; the broken batch may come twice"
    assert len(identities) <= len(set(identities)) + 8
    assert sorted(set(old)) == list(range(max(old) + 1)), "without a gap"
    assert max(old) > len(before) + 10
    assert end["frames_resumed"] > 10
    assert list(spool.glob("*.spool")) == []


def test_with_a_spool_nothing_is_trimmed_that_nobody_has_read(
    launch: Launch, server: LocalRedis, install: redis.Redis, bundle: Bundle, samples: Path
) -> None:
    options = ("--fps", "100", "--loop", "--queue", "5", "--spool-mb", "8", "--maxlen", "20", "--frames", "150")
    program = launch(server.url, bundle, samples, *options)
    program.until(lambda: "event=stream_full" in program.log.read_text())
    received: list[int] = []
    while program.process.poll() is None:
        entries: list[tuple[bytes, dict[bytes, bytes]]] = install.xrange(KEYS.features)  # type: ignore[assignment]
        assert len(entries) <= 20
        received += [FeaturePacket.parse(fields[PACKET_FIELD]).sequence for _, fields in entries]
        if entries:
            install.xdel(KEYS.features, *[entry for entry, _ in entries])
        time.sleep(0.02)
    received += [packet.sequence for packet in packets(install)]
    program.end()
    assert received == list(range(150))


def test_frames_that_were_given_up_are_made_up_for(
    launch: Launch, server: LocalRedis, install: redis.Redis, bundle: Bundle, samples: Path
) -> None:
    install.config_set("maxmemory", 1)
    options = ("--fps", "100", "--loop", "--queue", "2", "--frames", "8", "--max-age-s", "0")
    program = launch(server.url, bundle, samples, *options, "--shards", str(SHARDS))
    program.until(lambda: len(program.lines()) > 3)
    install.config_set("maxmemory", 0)
    _, end = program.end()
    assert end["frames_sent"] == 8 == len(packets(install))
    assert sum(end["frames_dropped"].values()) > 3
    assert set(end["frames_dropped"]) <= {"queue_full", "reference_dropped"}
    assert end["link_failures"]["out_of_memory"] > 0


def test_prometheus_sees_the_outage_of_a_running_camera(
    tmp_path: Path, launch: Launch, server: LocalRedis, install: redis.Redis, bundle: Bundle, samples: Path
) -> None:
    address, file = f"127.0.0.1:{free_ports(1)[0]}", tmp_path / "narrows.prom"
    options = ("--fps", "20", "--loop", "--spool-mb", "8", "--http", address, "--metrics-file", str(file))
    program = launch(server.url, bundle, samples, *options)
    program.until(lambda: len(program.lines()) > 5)

    good = metrics(address)
    assert good["narrows_edge_link_up"] == 1
    assert good["narrows_edge_frames_sent_total"] > 5
    assert good["narrows_edge_latency_seconds_count"] > 0
    assert abs(good["narrows_edge_clock_offset_seconds"]) <= good["narrows_edge_clock_error_seconds"]
    server.stop()
    program.until(lambda: metrics(address)["narrows_edge_spool_frames"] > 3)
    assert metrics(address)["narrows_edge_link_up"] == 0
    assert metrics(address)['narrows_edge_link_failures_total{reason="unreachable"}'] > 0
    _, end = program.stop()
    assert f"narrows_edge_frames_taken_total {end['frames_taken']}.0" in file.read_text()


def test_without_an_install_record_it_waits_and_says_for_what(
    launch: Launch, server: LocalRedis, admin: redis.Redis, bundle: Bundle, samples: Path
) -> None:
    program = launch(server.url, bundle, samples, "--fps", "100", "--frames", "3")
    program.until(lambda: "waiting_for=record" in program.log.read_text())
    assert admin.dbsize() == 0
    admin.set(INSTALL_KEY, b'{"v":1,"shards":4}')
    assert program.end()[1]["frames_sent"] == 3


def test_without_redis_it_waits_and_still_ends_cleanly(
    launch: Launch, server: LocalRedis, bundle: Bundle, samples: Path
) -> None:
    server.stop()
    program = launch(server.url, bundle, samples)
    program.until(lambda: "waiting_for=redis" in program.log.read_text())
    assert program.stop() == ([], program.lines()[-1])


def test_control_bends_the_level(
    launch: Launch, server: LocalRedis, install: redis.Redis, bundle: Bundle, samples: Path
) -> None:
    install.set(KEYS.control, Control(level=255).to_json())
    program = launch(server.url, bundle, samples, "--fps", "20", "--loop", "--level", "0")
    coarsest = len(bundle.manifest.levels) - 1
    program.until(lambda: any(line["level"] == coarsest for line in program.lines()))
    install.delete(KEYS.control)
    seen = len(program.lines())
    program.until(lambda: any(line["level"] == 0 for line in program.lines()[seen:]))
    program.stop()


def test_a_video_of_another_size_is_scaled_to_the_bundle(
    launch: Launch, server: LocalRedis, install: redis.Redis, bundle: Bundle, short_video: Path
) -> None:
    _, end = launch(server.url, bundle, short_video, "--fps", "100", "--frames", "4").end()
    assert end["frames_sent"] == 4
    for packet in packets(install):
        bundle.check(packet)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--level", "250"), "--level 250"),
        (("--source", "absent"), "is not there"),
        (("--stream-id", "a b"), "stream id"),
        (("--bundle", "absent"), "is no bundle"),
        (("--redis-url", "nonsense"), "--redis-url"),
    ],
)
def test_a_mistake_is_one_line_and_a_failing_exit(
    launch: Launch, bundle: Bundle, samples: Path, options: tuple[str, ...], message: str
) -> None:
    program = launch("redis://127.0.0.1:9", bundle, samples, *options)
    assert program.process.wait(PATIENCE_S) == 1
    assert message in program.log.read_text()
    assert "Traceback" not in program.log.read_text()


def test_neither_torch_nor_triton_nor_the_orchestrator_is_loaded() -> None:
    code = (
        "import sys, narrows.cli.edge, edge_client.program;"
        "print({'torch','onnx','tritonclient','orchestrator','av'} & {name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.strip() == "set()"
