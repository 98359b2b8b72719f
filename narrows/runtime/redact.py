"""Secrets must reach no log, error, metric or answer, whoever puts them there: us, a library, a traceback.

Two nets. What this process was given as a secret is known by its value (:func:`keep_secret`, :func:`keep_url`), and is
hidden wherever it turns up, in each way of writing it that libraries have: percent-encoded, decoded, as a repr, as
JSON. What was never given is known by its place: between ``://`` and ``@``, behind ``password=`` and its kin, behind
``Bearer``. Everything that a command writes to standard error passes both (:func:`redact_stderr`).
"""

from __future__ import annotations

import io
import json
import re
import sys
from typing import TextIO
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus

HIDDEN = "***"
SHORTEST = 4
"""Shorter values are hidden by their place alone: ``1`` stands everywhere."""
_CREDENTIALS = re.compile(r"(?<=://)[^\s\"'<>]*@")  # to the last @: a password may have / ? # and @ in it
_NAMED = r"password|passwd|pwd|passphrase"
_QUERY_NAMED = rf"{_NAMED}|token|secret|key|signature|credential|\bauth\b|\bsig\b"
_QUERY = re.compile(rf"(?i)(?<=[?&;])([^=&;\s]*(?:{_QUERY_NAMED})[^=&;\s]*)=[^&\s#\"'<>]*")
_PATH = re.compile(rf"(?i)({_NAMED})=[^&\s\"'<>/]+")  # rtsp://camera/user=admin_password=secret_channel=1
_HEADER = re.compile(r"(?i)\b(authorization['\"]?\s*[:=]\s*['\"]?\w+|bearer)\s+[A-Za-z0-9+/=._~-]{6,}")
_IS_SECRET = re.compile(rf"(?i){_QUERY_NAMED}")


class _Known:
    """Values of secrets, and the expression that finds them; replaced as a whole, so that threads may read."""

    values: frozenset[str] = frozenset()
    found: re.Pattern[str] | None = None


def keep_secret(secret: str) -> None:
    """Hide a value from now on wherever it stands, in each way of writing it."""
    decoded = unquote(secret)
    forms = {secret, decoded, unquote_plus(secret)}
    for text in (secret, decoded):
        forms |= {quote(text), quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1], repr(text)[1:-1]}
        forms.add(repr(text.encode("utf-8", "surrogateescape"))[2:-1])
    new = frozenset(form for form in forms if len(form) >= SHORTEST) - _Known.values
    if new:
        _Known.values |= new
        longest_first = sorted(_Known.values, key=len, reverse=True)
        _Known.found = re.compile("|".join(map(re.escape, longest_first)))


def keep_url(url: str) -> None:
    """Hide the password of a URL, and secrets in its query; a password that is not encoded ends at the last ``@``."""
    _, _, rest = url.partition("://")
    userinfo = rest.rpartition("@")[0]
    password = userinfo.partition(":")[2]
    if password:
        keep_secret(password)
    for name, value in parse_qsl(rest.partition("?")[2]):
        if _IS_SECRET.search(name):
            keep_secret(value)


def redact(text: str) -> str:
    """``text`` with known secrets, the user and password of every URL in it, and what is named a secret, as ``***``."""
    if _Known.found is not None:
        text = _Known.found.sub(HIDDEN, text)
    text = _CREDENTIALS.sub(f"{HIDDEN}@", text)
    text = _PATH.sub(rf"\1={HIDDEN}", _QUERY.sub(rf"\1={HIDDEN}", text))
    return _HEADER.sub(rf"\1 {HIDDEN}", text)


class _Redacted(io.TextIOWrapper):
    """A text stream that hides secrets in whatever is written to it."""

    def write(self, text: str, /) -> int:
        super().write(redact(text))
        return len(text)


def redact_stderr() -> None:
    """Hide secrets in all that this process writes to standard error: logs, warnings, usage errors, tracebacks."""
    plain = sys.stderr
    if isinstance(plain, io.TextIOWrapper) and not isinstance(plain, _Redacted):
        plain.flush()
        redacted: TextIO = _Redacted(plain.buffer, plain.encoding, plain.errors, line_buffering=True)
        sys.stderr = redacted
