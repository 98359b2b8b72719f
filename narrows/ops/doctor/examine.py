"""The examination from top to bottom: this machine, Narrows on it, then each part of the stack.

An address that somebody gave must answer. Where nobody gave one, the usual place may be silent: then no stack is here.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import redis

from narrows.contract.bundle import models_of, open_bundle
from narrows.contract.errors import BundleError, ConfigError, NarrowsError, RecordError
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.ops.doctor import (
    checkout,
    cluster,
    dispatcher,
    host,
    install,
    redis_server,
    sentinels,
    settings,
    streams,
    triton_server,
)
from narrows.ops.doctor.no_answer import NoAnswer
from narrows.runtime.config import Configuration
from narrows.runtime.finding import Finding, fail, ok, warn
from narrows.runtime.redact import redact
from narrows.runtime.redis import DEFAULT_REDIS_URL, connect, nodes_of
from narrows.runtime.redis.address import Address, Topology
from narrows.runtime.redis.replies import words_of
from narrows.runtime.triton_config import model_name
from narrows.runtime.words import first_line

DEFAULT_TRITON, DEFAULT_ORCHESTRATOR, DEFAULT_BUNDLE = "127.0.0.1:8001", "http://127.0.0.1:9464", Path("bundles/demo")


@dataclass(frozen=True, slots=True)
class Patient:
    """What to look at; ``None`` and empty where nobody said.

    Attributes:
        look_at_host: gathers the facts of the machine; a test of the stack gives a machine that is well.
    """

    redis_url: str | None
    triton: str | None
    orchestrators: tuple[str, ...]
    bundles: tuple[Path, ...]
    configuration: Configuration | ConfigError
    environment: Mapping[str, str]
    variables: AbstractSet[str]
    http_token: str | None = None
    look_at_host: Callable[[], host.HostFacts] = host.gather


def examine(patient: Patient) -> Iterator[Finding]:
    """All findings, in the order in which they are best mended; raises nothing."""
    yield from _guarded("machine", lambda: host.judge(patient.look_at_host()))
    given = bool(patient.bundles)
    bundles = patient.bundles or (DEFAULT_BUNDLE,)
    yield from _guarded("Narrows", lambda: checkout.look(bundles, given=given))
    yield from _guarded(
        "configuration", lambda: settings.judge(patient.configuration, patient.environment, patient.variables)
    )
    triton: list[triton_server.TritonFacts] = []
    yield from _guarded("Triton", lambda: _triton(patient, bundles, triton))
    served = frozenset[int]().union(*(facts.served for facts in triton)) if triton else None
    yield from _guarded("Redis", lambda: _redis(patient, served))
    for address in patient.orchestrators or (DEFAULT_ORCHESTRATOR,):
        yield from _guarded("dispatcher", lambda address=address: _dispatcher(patient, address))  # type: ignore[misc]


def _guarded(subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check finds; a check that fails is a finding too."""
    try:
        yield from look()
    except NarrowsError as error:
        yield fail(subject, first_line(error), "mend this first, then look again")
    except Exception as error:  # noqa: BLE001 - the outermost loop of a program that must never end in a stack trace
        detail = f"a check ended early with {type(error).__name__}: {redact(first_line(error))}"
        yield fail(subject, detail, "report this: it is a fault of the doctor's")


def _redis(patient: Patient, served: AbstractSet[int] | None) -> Iterator[Finding]:
    url = patient.redis_url or DEFAULT_REDIS_URL
    address = Address.parse(url)
    if address.topology is Topology.SENTINEL:
        yield from sentinels.look(address)
    elif address.topology is Topology.CLUSTER:
        yield from cluster.look(address)
    with closing(connect(url)) as client:
        try:
            facts = [redis_server.gather(each, of_cluster=each is not client) for each in nodes_of(client)]
        except redis.RedisError as error:
            yield no_redis(redact(url), NoAnswer.of(error), given=patient.redis_url is not None)
            return
        try:
            if patient.redis_url is None and not client.exists(INSTALL_KEY):
                yield ok("Redis", f"what answers at {url} has no install, and --redis-url was not given: not looked at")
                return
            for each in facts:
                yield from redis_server.judge(each)
            masks_of = settings.stream_told_masks(patient.configuration, patient.environment)
            yield from _install(client, served, masks_of)
        except redis.RedisError as error:
            remedy = "look at this user's ACL: the doctor reads narrows:* keys (GET, MGET, SCAN, XLEN, XREVRANGE)"
            yield fail("Redis", f"it refuses: {words_of(error)}", remedy)


def _install(client: redis.Redis, served: AbstractSet[int] | None, masks_of: str | None) -> Iterator[Finding]:
    try:
        record = install.read_record(client)
    except RecordError as error:
        yield fail("install", str(error), "is this another program's database? Choose an empty one in --redis-url")
        return
    yield install.judge_record(record)
    if record is not None:
        yield install.judge_packet_format(record, masks_of)
        yield from install.judge(install.gather(client, record))
        yield from streams.judge(streams.gather(client, record), served)


def _triton(patient: Patient, bundles: tuple[Path, ...], found: list[triton_server.TritonFacts]) -> Iterator[Finding]:
    try:
        from tritonclient.utils import InferenceServerException  # noqa: PLC0415

        from narrows.ops.doctor.triton_servers import addresses_of  # noqa: PLC0415 - takes along what narrows[cloud] has
    except ModuleNotFoundError:
        yield warn("Triton", "narrows[cloud] is not installed: it was not looked at", "pip install 'narrows[cloud]'")
        return
    addresses = addresses_of(patient.triton or DEFAULT_TRITON, patient.redis_url or DEFAULT_REDIS_URL)
    if not addresses:
        yield warn("Triton", f"{patient.triton} names no server now", "start one, or several: `narrows supervise`")
    for address in addresses:
        where = f"{address}: " if len(addresses) > 1 else ""
        try:
            facts = triton_server.gather(address)
        except InferenceServerException as error:
            yield _silent("Triton", address, error, "--triton", given=patient.triton is not None)
            continue
        found.append(facts)
        for each in triton_server.judge(facts, _models(bundles) if patient.bundles else ()):
            yield replace(each, detail=where + each.detail)


def _dispatcher(patient: Patient, address: str) -> Iterator[Finding]:
    try:
        facts = dispatcher.gather(address, patient.http_token)
    except PermissionError as error:
        yield fail("dispatcher", f"{address} wants a token", str(error))
        return
    except (OSError, http.client.HTTPException) as error:
        yield _silent("dispatcher", address, error, "--orchestrator", given=bool(patient.orchestrators))
        return
    except ValueError as error:
        remedy = "another program has this port: give `narrows orchestrate` another with --http"
        yield fail("dispatcher", f"what answers at {address} is no dispatcher: {error}", remedy)
        return
    yield from dispatcher.judge(facts)


def no_redis(address: str, why: NoAnswer, *, given: bool) -> Finding:
    """A server of Redis that says nothing of itself; ``given``: somebody named it."""
    if given:
        return fail("Redis", f"{address} {why}", why.remedy)
    found = f"{address} {why}" if why.refused else f"nothing at {address}"
    return ok("Redis", f"{found}, and --redis-url was not given: not looked at")


def _silent(subject: str, address: str, error: Exception, option: str, *, given: bool) -> Finding:
    cause = words_of(error).partition("\n")[0]
    if given:
        return fail(subject, f"{address} does not answer: {cause}", f"start it, or correct {option}")
    return ok(subject, f"nothing at {address}, and {option} was not given: not looked at")


def _models(bundles: tuple[Path, ...]) -> tuple[str, ...]:
    """The models of the bundles that can be opened; of the others there is a line already."""
    names = []
    for folder in bundles:
        try:
            names += [model_name(model.id) for model in models_of(open_bundle(folder))]
        except BundleError:
            continue
    return tuple(names)
