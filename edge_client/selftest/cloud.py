"""Does Redis answer, may this camera do what it has to, and is its bundle served?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from edge_client.settings import EdgeSettings
from edge_client.transport.link import name_failure, read_record
from edge_client.transport.server_clock import Sample
from narrows.contract.bundle import AnyBundle
from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.records.report import DispatcherReport
from narrows.contract.wire import Control, Install, StreamKeys
from narrows.contract.wire.keys import INSTALL_KEY, PACKET_FIELD, ScaleKeys
from narrows.runtime.finding import Finding, fail, ok, warn
from narrows.runtime.redact import redact
from narrows.runtime.redis import connect
from narrows.runtime.redis.replies import words_of

_WRONG_CLOCK_S = 1.0
_CLOCK_SAMPLES = 4


def check_cloud(settings: EdgeSettings, bundle: AnyBundle | None) -> Iterator[Finding]:
    """Everything that Redis can be asked; no packet is added."""
    try:
        client = connect(settings.redis_url)
    except ServiceError as error:
        yield fail("redis", str(error), "correct --redis-url")
        return
    with closing(client):
        reachable = _reachable(client, settings)
        yield reachable
        if reachable.remedy:
            return
        install, shards = _install(client, settings)
        yield install
        if shards is not None:
            keys = StreamKeys.of(settings.stream, shards)
            yield _may_write(client, keys)
            yield _control(client, keys)
            if settings.spool_mb:
                yield _may_ask_length(client, keys)
        yield _clock(client)
        if bundle is not None:
            yield _served(client, bundle)


def _reachable(client: redis.Redis, settings: EdgeSettings) -> Finding:
    begun_s = time.perf_counter()
    try:
        client.ping()
    except RedisError as error:
        reason, remedy = name_failure(error)
        return fail("redis", f"{redact(settings.redis_url)}: {reason}: {words_of(error)}", remedy)
    return ok(
        "redis", f"{redact(settings.redis_url)} answers, connected in {(time.perf_counter() - begun_s) * 1e3:.0f} ms"
    )


def _install(client: redis.Redis, settings: EdgeSettings) -> tuple[Finding, int | None]:
    try:
        data = read_record(client, INSTALL_KEY)
        if data is not None:
            shards = Install.parse(data).shards
            return ok("install", f"{shards} shards"), settings.shards or shards
        found, remedy = "there is no install record", "start a dispatcher, which writes it"
    except RedisError as error:
        found, remedy = (
            f"the install record cannot be read: {name_failure(error).reason}: {words_of(error)}",
            "or give --shards",
        )
    except RecordError as error:
        found, remedy = str(error), "mend the install record"
    if settings.shards is not None:
        return warn("install", f"{found}; --shards {settings.shards} is used", remedy), settings.shards
    return fail("install", found, remedy), None


def _may_write(client: redis.Redis, keys: StreamKeys) -> Finding:
    """Redis checks rights, memory and role before it refuses an entry id of 0-0, which adds nothing."""
    try:
        client.xadd(keys.features, {PACKET_FIELD: b"selftest"}, id="0-0")
    except ResponseError as error:
        if "greater than 0-0" in str(error):
            return ok("write", f"may add to {keys.features}")
        return _refused("write", keys.features, error)
    except RedisError as error:
        return _refused("write", keys.features, error)
    return warn(
        "write", f"{keys.features} took an entry that it should refuse", "is this a Redis of version 7 or newer?"
    )


def _control(client: redis.Redis, keys: StreamKeys) -> Finding:
    try:
        data = read_record(client, keys.control)
        if data is None:
            return ok("control", "no record: the camera decides alone")
        control = Control.parse(data)
        asked = {"level": control.level, "frames/s": control.frames_per_s}
        wishes = ", ".join(f"{name} {value:g}" for name, value in asked.items() if value is not None)
        return ok("control", f"asks for {wishes or 'nothing'}")
    except RecordError as error:
        return warn("control", str(error), "the camera decides alone until it is mended")
    except RedisError as error:
        reason = name_failure(error).reason
        return warn(
            "control",
            f"{keys.control}: {reason}: {words_of(error)}",
            "the camera decides alone; give it its own Redis user",
        )


def _may_ask_length(client: redis.Redis, keys: StreamKeys) -> Finding:
    try:
        return ok("backlog", f"{int(client.xlen(keys.features))} packets wait in Redis")
    except RedisError as error:
        reason = name_failure(error).reason
        return warn(
            "backlog",
            f"{keys.features}: {reason}: {words_of(error)}",
            "allow XLEN, or a spool may push out what nobody has read",
        )


def _clock(client: redis.Redis) -> Finding:
    samples = []
    try:
        for _ in range(_CLOCK_SAMPLES):
            asked_s = time.time()
            seconds, microseconds = client.time()
            samples.append(Sample.of(asked_s, int(seconds) + int(microseconds) * 1e-6, time.time()))
    except RedisError as error:
        return warn(
            "clock",
            f"unknown: {name_failure(error).reason}: {words_of(error)}",
            "allow TIME, or no latency is measured",
        )
    best = min(samples, key=lambda sample: sample.error_s)
    ahead = "ahead of" if best.offset_s < 0 else "behind"
    detail = f"{abs(best.offset_s):.3f} s {ahead} Redis, give or take {abs(best.error_s):.3f} s"
    if abs(best.offset_s) - best.error_s > _WRONG_CLOCK_S:
        return warn("clock", detail, "set this machine's clock: frames are stamped with it")
    return ok("clock", detail)


def _served(client: redis.Redis, bundle: AnyBundle) -> Finding:
    try:
        reports: Any = client.hgetall(ScaleKeys.REPORTS)
    except NoPermissionError:
        return ok("cloud", "cannot be seen from here: this user may not, and need not")
    except RedisError as error:
        return _unread(words_of(error))
    served, unreadable = set[str](), list[RecordError]()
    for report in reports.values():
        try:
            served.update(DispatcherReport.parse(report).bundles)
        except RecordError as error:
            unreadable.append(error)
    if not served and unreadable:
        return _unread(str(unreadable[0]))
    if not served:
        return warn("cloud", "no dispatcher has reported", "frames will wait in Redis: start one")
    if bundle.hex_id not in served:
        known = ", ".join(sorted(served))
        return fail(
            "cloud", f"bundle {bundle.hex_id} is not served, only {known}", "give the dispatchers this --bundle too"
        )
    return ok("cloud", f"bundle {bundle.hex_id} is served")


def _unread(why: str) -> Finding:
    return warn("cloud", f"what is served cannot be read: {why}", "`narrows doctor` in the cloud sees more")


def _refused(subject: str, key: str, error: RedisError) -> Finding:
    reason, remedy = name_failure(error)
    return fail(subject, f"{key}: {reason}: {words_of(error)}", remedy)
