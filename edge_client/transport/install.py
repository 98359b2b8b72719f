"""What the camera must know of the install before it sends: the number of shards, and the packet format."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import redis
import structlog
from redis.exceptions import RedisError

from edge_client.transport.link import name_failure, read_record
from narrows.contract.errors import RecordError
from narrows.contract.wire import Install
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.runtime.backoff import Backoff
from narrows.runtime.redis.replies import words_of

_LOG = structlog.get_logger("edge.install")


def wait_for_install(client: redis.Redis, stop: Event, beat: Callable[[], None]) -> Install | None:
    """Read the install record, trying until it is there; ``None`` if ``stop`` comes first. Each try is a ``beat``."""
    backoff = Backoff()
    while not stop.is_set():
        beat()
        try:
            data = read_record(client, INSTALL_KEY)
            if data is not None:
                return Install.parse(data)
            waiting_for, cause = "record", "there is none"
            remedy = "start an orchestrator, which writes it, or give --shards"
        except RedisError as error:
            waiting_for, cause, remedy = "redis", words_of(error), "{}: {}".format(*name_failure(error))
        except RecordError as error:
            waiting_for, cause, remedy = "record", str(error), "mend the record, or give --shards"
        client.close()  # the address may lead to another server at the next try
        delay_s = backoff.next_delay_s()
        _LOG.warning(
            "waiting_for_install",
            waiting_for=waiting_for,
            key=INSTALL_KEY,
            cause=cause,
            remedy=remedy,
            next_try_s=round(delay_s, 1),
        )
        stop.wait(delay_s)
    return None
