"""The way to Redis for those who ask rather than serve: connect, and name what goes wrong."""

from narrows.runtime.redis.connection import connect, named_errors, nodes_of, read_install
from narrows.runtime.redis.url import DEFAULT_REDIS_URL

__all__ = ["DEFAULT_REDIS_URL", "connect", "named_errors", "nodes_of", "read_install"]
