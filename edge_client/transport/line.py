"""One connection to Redis on which commands are sent before those ahead of them are answered.

Answers come in the order of the commands, so nobody waits a round trip before sending more: on a long way that is most
of the time. redis-py's own pipelines wait for all their answers; its connection does not, and is what is used here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import redis
from redis.exceptions import RedisError, ResponseError

About = TypeVar("About")


@dataclass(frozen=True, slots=True)
class SentCommand(Generic[About]):
    """A command on its way: what it is about, and when it left."""

    about: About
    sent_s: float


@dataclass(frozen=True, slots=True)
class CommandReply(Generic[About]):
    """Its answer, which may be an error, and when it was read."""

    about: About
    sent_s: float
    at_s: float
    answer: Any

    @property
    def refusal(self) -> ResponseError | None:
        """Why Redis did not do it, if it did not."""
        return self.answer if isinstance(self.answer, ResponseError) else None


class Line(Generic[About]):
    """A client's connection. It is one thread's; that no answer comes for ``answer_s`` ends it.

    Attributes:
        answered: whether the server answered anything on this connection.
    """

    def __init__(self, client: redis.Redis, answer_s: float, monotonic_s: Callable[[], float]) -> None:
        self._client = client
        self._connection: redis.Connection | None = None
        self._answer_s = answer_s
        self._monotonic_s = monotonic_s
        self._asked: deque[SentCommand[About]] = deque()
        self._broken: RedisError | None = None
        self._born_s = monotonic_s()
        self.answered = False

    @property
    def waits(self) -> bool:
        """Whether something is unanswered."""
        return bool(self._asked)

    @property
    def age_s(self) -> float:
        """How old the connection is; 0 without one."""
        return 0.0 if self._connection is None else self._monotonic_s() - self._born_s

    def any(self, which: Callable[[About], bool]) -> bool:
        """Whether something of this kind is unanswered."""
        return any(which(asked.about) for asked in self._asked)

    def connect(self) -> redis.Connection:
        """Be connected, and known to the server.

        Raises:
            RedisError: no server there, or it refuses this user; or the connection broke, and is to be dropped first.
        """
        if self._broken is not None:  # redis-py would connect anew, and answers would go to the wrong commands
            raise self._broken
        if self._connection is None:
            self._connection = self._client.connection_pool.get_connection()
            self._born_s = self._monotonic_s()
        return self._connection

    def renew(self) -> None:
        """Leave the connection for a new one, when that stands; nothing may be unanswered.

        Raises:
            RedisError: there is none to be had; the old one was kept.
        """
        old = self.connect()
        self._connection = self._client.connection_pool.get_connection()
        self._born_s, self.answered = self._monotonic_s(), False
        self._close(old)

    def send(self, about: About, *command: str | bytes | int) -> None:
        """Send a command.

        Raises:
            RedisError: the connection broke.
        """
        connection = self.connect()
        self._asked.append(SentCommand(about, self._monotonic_s()))
        connection.send_command(*command, check_health=False)  # type: ignore[no-untyped-call]

    def answers(self, timeout_s: float) -> list[CommandReply[About]]:
        """All answers that are there; waits for the first of them for ``timeout_s`` at most.

        Raises:
            RedisError: the connection broke, or the oldest command has been unanswered for too long. Answers that came
                before it broke are given first.
        """
        found: list[CommandReply[About]] = []
        try:
            while self._asked and self.connect().can_read(0 if found else timeout_s):
                found.append(self._next())
        except RedisError as error:
            if not found:
                raise
            self._broken = error
        if not found and self._asked and self._monotonic_s() - self._asked[0].sent_s > self._answer_s:
            raise redis.TimeoutError(f"no answer for {self._answer_s:g} s")
        return found

    def _next(self) -> CommandReply[About]:
        try:
            answer = self.connect().read_response()
        except ResponseError as error:
            answer = error
        self.answered = True
        asked = self._asked.popleft()
        return CommandReply(asked.about, asked.sent_s, self._monotonic_s(), answer)

    def drop(self) -> None:
        """Disconnect, and forget what was asked."""
        self._asked.clear()
        self._broken = None
        self.answered = False
        if self._connection is not None:
            self._close(self._connection)
            self._connection = None

    def close(self) -> None:
        """Disconnect, and let go of the client."""
        self.drop()
        self._client.close()

    def _close(self, connection: redis.Connection) -> None:
        connection.disconnect()  # type: ignore[no-untyped-call]
        self._client.connection_pool.release(connection)
