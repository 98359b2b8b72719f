"""Why a server of Redis or Sentinel says nothing of itself, and what to do: to refuse is not to be away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import redis

from narrows.runtime.redis.replies import code_of, hint_for, words_of

START_IT = "start it, or correct --redis-url"
_REMEDIES = {
    "NOAUTH": "write its user and password into --redis-url; of Sentinels: ?sentinel_username=…&sentinel_password=…",
    "WRONGPASS": "correct the user and the password in --redis-url; of Sentinels: ?sentinel_password=…",
    "NOPERM": "ask as a user that may: the operator and the maintainer of `narrows keys acl`",
    "LOADING": "wait until it has read its data",
}
_TLS_REMEDY = "begin --redis-url with rediss where it speaks TLS, with ?ssl_ca_certs=FILE, and with redis where not"
_OTHER_REMEDY = "is it what --redis-url takes it for? Sentinels listen at 26379, the servers of data at 6379"


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """What came instead of an answer.

    Attributes:
        why: in its own words.
        remedy: what to do about it.
        refused: whether somebody is there, who does not tell us.
    """

    why: str
    remedy: str = START_IT
    refused: bool = False

    @classmethod
    def of(cls, error: redis.RedisError) -> Self:
        """An error of redis-py."""
        code, words = code_of(error), words_of(error)
        if code:
            return cls(words, _REMEDIES.get(code) or hint_for(code) or _OTHER_REMEDY, refused=True)
        if "SSL" in words:
            return cls(words, _TLS_REMEDY, refused=True)
        return cls(words)

    def __str__(self) -> str:
        return f"{'refuses' if self.refused else 'does not answer'}: {self.why}"
