"""A look at the server's own options when a dispatcher starts: what the safety rests on is said if it is amiss."""

from __future__ import annotations

import structlog

from narrows.runtime.redis.server_options import OPTIONS, OptionFact, State, look
from narrows.runtime.redis.store import ReplyRefused, Store, pairs

_log = structlog.get_logger(__name__)


async def server_options(store: Store) -> tuple[OptionFact, ...]:
    """How each option stands; unknown where the server, or this user, has no ``CONFIG GET``.

    Raises:
        ServiceError: Redis is away.
    """
    try:
        config = pairs(await store.call("CONFIG", "GET", *(option.name for option in OPTIONS)))
    except ReplyRefused:
        config = {}
    lines = (await store.call("INFO")).decode("utf-8", "replace").splitlines()
    info = dict(line.split(":", 1) for line in lines if ":" in line)
    return look({name.decode(): value.decode() for name, value in config.items()}, info)


def say(facts: tuple[OptionFact, ...]) -> None:
    """A line for each option that is amiss, an error if frames would vanish unseen; one for those that nobody knows."""
    for fact in facts:
        if fact.state is State.AMISS:
            name, remedy = fact.option.name, fact.option.remedy
            if fact.option.fatal:
                _log.error("redis_option_unsafe", option=name, detail=str(fact), remedy=remedy)
            else:
                _log.warning("redis_option_amiss", option=name, detail=str(fact), remedy=remedy)
    unknown = [fact.option.name for fact in facts if fact.state is State.UNKNOWN]
    if unknown:
        _log.info("redis_options_unknown", options=unknown)
