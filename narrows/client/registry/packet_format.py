"""Which packet format cameras may send: a field of the install record, raised once every dispatcher reads it."""

from __future__ import annotations

from typing import Any

import redis
from msgspec import UNSET
from msgspec.structs import replace

from narrows.client.registry.audit import write_format_audit
from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.records.report import DispatcherReport, is_fresh
from narrows.contract.wire import Install
from narrows.contract.wire.keys import DISPATCHERS_KEY, INSTALL_KEY, ScaleKeys
from narrows.runtime.redis import read_install


def newest_read(client: redis.Redis) -> dict[str, int]:
    """The newest packet format that each living dispatcher reads, by its name; 1 for one that does not say."""
    seconds, micros = _any(client.time())
    now_ms = seconds * 1000 + micros // 1000
    names = [name.decode("utf-8", "replace") for name in _any(client.zrange(DISPATCHERS_KEY, 0, -1))]
    reports = _any(client.hmget(ScaleKeys.REPORTS, names)) if names else []
    return {name: _newest(report, now_ms) for name, report in zip(names, reports, strict=True)}


def let_cameras_send(client: redis.Redis, packet_format: int, *, who: str) -> Install:
    """Change the install record; cameras follow within 30 s. Answers what now stands. The audit event comes first.

    Raises:
        ServiceError: a living dispatcher does not read the format, or none lives.
        RecordError: the record cannot be read.
    """
    if packet_format > 1:
        _check_all_read(newest_read(client), packet_format)
    changed: list[Install] = []

    def attempt(pipe: redis.client.Pipeline) -> None:
        install = read_install(pipe)
        changed.append(replace(install, packet_format=packet_format if packet_format > 1 else UNSET))
        write_format_audit(client, who, install.newest_packet_format, packet_format)
        pipe.multi()
        pipe.set(INSTALL_KEY, changed[-1].to_json())

    client.transaction(attempt, INSTALL_KEY)
    return changed[-1]


def _check_all_read(newest: dict[str, int], packet_format: int) -> None:
    if not newest:
        raise ServiceError("no dispatcher lives: start `narrows orchestrate`, so that it says what it reads")
    behind = sorted(name for name, each in newest.items() if each < packet_format)
    if behind:
        raise ServiceError(
            f"{', '.join(behind)} does not say that it reads packet format {packet_format}: upgrade it first"
        )


def _newest(report: bytes | None, now_ms: int) -> int:
    try:
        found = None if report is None else DispatcherReport.parse(report)
    except RecordError:
        return 1
    return found.packet_format if found is not None and is_fresh(found.at_ms, now_ms) else 1


def _any(value: Any) -> Any:  # noqa: ANN401 -- redis-py's answers may be awaitable, by its types
    return value
