"""Credentials that travel in URLs must not reach a log or a screen."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]*@")
_QUERY = re.compile(r"(?i)(?<=[?&])([^=&\s]*(?:password|passwd|pwd|token|secret|key)[^=&\s]*)=[^&\s#]*")


def redact(text: str) -> str:
    """``text`` with the user and password of every URL in it, and secrets in queries, replaced by ``***``."""
    return _QUERY.sub(r"\1=***", _CREDENTIALS.sub("***@", text))
