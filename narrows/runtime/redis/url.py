"""The addresses of Redis: where it is unless somebody says otherwise, and what an address must look like.

A password may have any character if it is percent-encoded (RFC 3986, section 2.1). One that is not, and has ``/``,
``?`` or ``#`` in it, ends the address's authority early: libraries then complain about a part of the password, aloud.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from narrows.contract.errors import ServiceError
from narrows.runtime.redact import keep_url

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"
_SEVERAL = "redis+cluster://HOST:PORT,... and redis+sentinel://HOST:PORT,.../MASTER for several servers"
_FORMS = {
    "redis": f"redis://[[USER]:PASSWORD@]HOST:6379/0, or rediss:// for TLS; {_SEVERAL}",
    "sentinel": "redis+sentinel://[[USER]:PASSWORD@]HOST:26379[,HOST...]/MASTER[/0], or rediss+sentinel:// for TLS",
    "cluster": "redis+cluster://[[USER]:PASSWORD@]HOST:6379[,HOST...], or rediss+cluster:// for TLS",
}
ENCODE = "percent-encode the user and password: / is %2F, ? is %3F, # is %23, @ is %40, : is %3A, % is %25"
_PATHS = {
    "redis": (re.compile(r"/?\d*"), "a number of a database"),
    "sentinel": (re.compile(r"/[A-Za-z0-9._-]+(/\d*)?"), "the name of a master and a number of a database"),
    "cluster": (re.compile(r"/?0?"), "nothing, for a cluster has one database"),
}
_SCHEMES = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_OPTIONS = (
    *("db", "username", "password", "client_name", "protocol", "max_connections"),
    *("socket_timeout", "socket_connect_timeout", "socket_read_size", "health_check_interval", "retry_on_timeout"),
)
"""Of redis-py's options those that text can say; with others it makes clients that fail at their first command."""
_TLS_OPTIONS = (
    *("ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_certfile", "ssl_keyfile", "ssl_password"),
    *("ssl_cert_reqs", "ssl_check_hostname", "ssl_min_version", "ssl_ciphers"),
)
_SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:@]*)(:\d{0,5})?")
_PORT_ALONE = re.compile(r"[^@]*:\d+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FILE = re.compile(r"ssl_\w+=")  # the options of an address that may have an @ in them


def check_url(url: str) -> str:
    """A Redis address that clients take; its password is hidden from now on. Answers the address.

    Raises:
        ServiceError: it is none; the message has nothing of it but its scheme.
    """
    keep_url(url)
    scheme = url.partition("://")[0]
    if "://" not in url or scheme not in _SCHEMES:
        raise ServiceError(f"--redis-url is no address of Redis: write {_FORMS['redis']}")
    parts = check_encoding(url, "--redis-url")
    topology = scheme.partition("+")[2] or "redis"
    form, (path, what) = _FORMS[topology], _PATHS[topology]
    for each in hosts_of(parts):
        _check_host(each, form)
    cut_short = "@" not in parts.netloc and any(
        "@" in each and not _FILE.match(each) for each in parts.query.split("&")
    )
    if cut_short or parts.fragment or not path.fullmatch(parts.path):
        raise ServiceError(f"--redis-url has other things behind its host than {what}: write {form}; {ENCODE}")
    _check_options(parts)
    return url


def hosts_of(parts: SplitResult) -> list[str]:
    """``HOST:PORT`` of each server; one, unless the address is that of several."""
    hosts = parts.netloc.rpartition("@")[2]
    return hosts.split(",") if "+" in parts.scheme else [hosts]


def _check_options(parts: SplitResult) -> None:
    """Of what is not known the name is not said either: it may be a part of a password."""
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if not parts.scheme.startswith("rediss") and not names.isdisjoint(_TLS_OPTIONS):
        raise ServiceError("--redis-url has options of TLS (ssl_…): begin it with rediss, or leave them out")
    known = (*_OPTIONS, *_TLS_OPTIONS, *(_SENTINEL_OPTIONS if parts.scheme.endswith("+sentinel") else ()))
    if not names <= set(known):
        raise ServiceError(f"--redis-url has an option that is not known: behind ? there may be {', '.join(known)}")


def _check_host(text: str, form: str) -> None:
    host = _HOST.fullmatch(text)
    if host is None or not host[1]:
        raise ServiceError(f"--redis-url names no HOST:PORT: write {form}; {ENCODE}")
    if host[2] not in (None, ":") and int(host[2][1:]) > 65535:
        raise ServiceError("--redis-url has a port beyond 65535")


def check_encoding(url: str, what: str) -> SplitResult:
    """The parts of any URL whose user and password, if it has them, are encoded so that they can be told.

    Raises:
        ServiceError: they are not; the message has nothing of them.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # it quotes the authority: brackets that do not match, or letters that NFKC turns into / ? # @ :
        raise ServiceError(f"{what} cannot be read: {ENCODE}, and every letter that is not ASCII") from None
    behind = f"{parts.path}?{parts.query}#{parts.fragment}"
    no_host = any(_HOST.fullmatch(each) is None for each in hosts_of(parts)) or "@" in parts.fragment
    cut_short = "@" in behind and "@" not in parts.netloc and no_host
    userinfo = parts.netloc.rpartition("@")[0]
    if _PORT_ALONE.fullmatch(parts.netloc) and _may_end_a_password(parts):
        raise ServiceError(f"{what} has an @ behind its host and port, or a password that is not encoded: {ENCODE}")
    if cut_short or _CONTROL.search(url) or _BROKEN_ESCAPE.search(userinfo):
        raise ServiceError(f"{what} has a user or password with characters as they are: {ENCODE}")
    try:
        unquote(userinfo, errors="strict")
    except UnicodeDecodeError:
        raise ServiceError(f"{what} has a user or password that is no UTF-8 once decoded: {ENCODE}") from None
    return parts


def _may_end_a_password(parts: SplitResult) -> bool:
    """Whether there is an ``@`` in a place where a password with ``/`` or ``?`` in it would end: ``rtsp://u:12/x@cam``."""
    return "@" in parts.path or any("@" in each.partition("=")[0] for each in parts.query.split("&"))


def with_credentials(address: str, user: str, password: str) -> str:
    """An address without a user, as that of a user; both are encoded."""
    parts = urlsplit(address)
    return parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}").geturl()
