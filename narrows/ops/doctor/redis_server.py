"""The Redis server: does it answer, is it of the right kind, will it keep what it is given."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import redis

from narrows.runtime.finding import Finding, fail, ok, warn
from narrows.runtime.redis.server_options import OPTIONS, OptionFact, State, look
from orchestrator.telemetry.health import REDIS_MEMORY, Severity

OLDEST_VERSION = (7, 0)
CLOCKS_WARN_S, CLOCKS_FAIL_S = 1.0, 10.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """What the server says of itself.

    Attributes:
        name, version: of the program; ``protocol`` is the Redis version that it is compatible with.
        role: ``master``, or ``slave`` for a replica.
        options: those that the safety rests on.
        used_bytes, most_bytes: memory; ``most_bytes`` is 0 without a limit.
        log_ok: whether the last write of the append-only file succeeded.
        clock_ahead_s: the server's clock less this machine's.
        answer_s: how long a PING took.
        member: whether it is a node of a cluster, and was reached as a server by itself.
    """

    name: str
    version: str
    protocol: tuple[int, ...]
    role: str
    options: tuple[OptionFact, ...]
    used_bytes: int
    most_bytes: int
    log_ok: bool
    clock_ahead_s: float
    answer_s: float
    member: bool = False


def gather(client: redis.Redis, *, of_cluster: bool = False) -> RedisFacts:
    """Ask the server; ``of_cluster``: it was reached as a node of a cluster.

    Raises:
        RedisError: it does not answer, or refuses.
    """
    begun_s = time.monotonic()
    client.ping()
    answer_s = time.monotonic() - begun_s
    asked_s = time.time()
    seconds, micros = _any(client.time())
    clock_ahead_s = seconds + micros / 1e6 - (asked_s + time.time()) / 2
    info = _any(client.info())
    name = str(info.get("server_name", "redis"))
    return RedisFacts(
        name=name,
        version=str(info.get(f"{name}_version", info.get("redis_version", "?"))),
        protocol=parse_version(str(info.get("redis_version", "0"))),
        role=str(info.get("role", "master")),
        options=look(_config(client), {name: str(value) for name, value in info.items()}),
        used_bytes=int(info.get("used_memory", 0)),
        most_bytes=int(info.get("maxmemory", 0)),
        log_ok=info.get("aof_last_write_status", "ok") == "ok",
        clock_ahead_s=clock_ahead_s,
        answer_s=answer_s,
        member=not of_cluster and int(info.get("cluster_enabled", 0)) == 1,
    )


def judge(facts: RedisFacts) -> Iterator[Finding]:
    """A line for each thing that matters to frames."""
    yield ok("Redis", f"{facts.name} {facts.version} answers in {facts.answer_s * 1000:.1f} ms")
    yield _protocol(facts)
    if facts.member:
        remedy = "begin --redis-url with redis+cluster://: cameras and programs are led to the nodes then"
        yield fail("Redis role", "this is one node of a cluster: it serves its own slots alone", remedy)
    if facts.role != "master":
        yield fail("Redis role", f"this is a {facts.role}: it takes no writes", "point --redis-url at the primary")
    yield from _options(facts)
    yield _memory(facts)
    yield _log(facts)
    yield _clock(facts)


def parse_version(text: str) -> tuple[int, ...]:
    """``7.2.4`` as ``(7, 2, 4)``; what is no number ends it."""
    numbers = []
    for part in text.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _protocol(facts: RedisFacts) -> Finding:
    version = ".".join(map(str, facts.protocol)) or "?"
    if facts.protocol < OLDEST_VERSION:
        return fail("Redis version", f"it speaks Redis {version}", "Redis 7 or newer, or Valkey, is needed")
    return ok("Redis version", f"it speaks Redis {version}")


def _config(client: redis.Redis) -> dict[str, str]:
    """What the server says of the options; nothing where it, or this user, has no CONFIG GET."""
    try:
        answer = _any(client.config_get(*(option.name for option in OPTIONS)))
    except redis.ResponseError:
        return {}
    return {_text(name): _text(value) for name, value in answer.items()}


def _text(word: bytes | str) -> str:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)


def _options(facts: RedisFacts) -> Iterator[Finding]:
    """A line for each option that is amiss or unknown; one if none is."""
    amiss = [fact for fact in facts.options if fact.state is State.AMISS]
    for fact in amiss:
        yield (fail if fact.option.fatal else warn)("Redis options", str(fact), fact.option.remedy)
    unknown = [fact.option.name for fact in facts.options if fact.state is State.UNKNOWN]
    if unknown:
        yield ok("Redis options", f"not known, for CONFIG GET is refused: {', '.join(unknown)}")
    elif not amiss:
        yield ok("Redis options", f"all {len(facts.options)} are as they should be")


def _memory(facts: RedisFacts) -> Finding:
    used = f"{facts.used_bytes / MIB:.0f} MiB used"
    if facts.most_bytes == 0:
        return ok("Redis memory", f"{used}, no limit set")
    share = facts.used_bytes / facts.most_bytes
    detail = f"{used} of {facts.most_bytes / MIB:.0f} ({share:.0%})"
    remedy = "raise maxmemory, lower --maxlen of the cameras or --retention, or start more dispatchers"
    severity = REDIS_MEMORY.severity(share)
    if severity is Severity.CRITICAL:
        return fail("Redis memory", f"{detail}: writes are refused, or soon will be", remedy)
    return warn("Redis memory", detail, remedy) if severity is Severity.WARNING else ok("Redis memory", detail)


def _log(facts: RedisFacts) -> Finding:
    if not facts.log_ok:
        return fail("Redis durability", "the last write of its log failed", "look for a full disk in Redis's own log")
    return ok("Redis durability", "the last write of its log succeeded")


def _clock(facts: RedisFacts) -> Finding:
    apart_s = abs(facts.clock_ahead_s)
    detail = f"Redis's clock and this machine's are {apart_s:.2f} s apart"
    remedy = "run NTP on both machines (timedatectl set-ntp true); latencies and capture times lean on it"
    if apart_s >= CLOCKS_FAIL_S:
        return fail("clocks", detail, remedy)
    return warn("clocks", detail, remedy) if apart_s >= CLOCKS_WARN_S else ok("clocks", detail)


def _any(value: Any) -> Any:  # noqa: ANN401
    """redis-py types its answers for both of its clients at once."""
    return value
