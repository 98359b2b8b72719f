"""Straight to the address that the operator named: proxy variables of the environment are for others.

``http_proxy`` and its kin are set on whole machines, and in every container by Docker's client configuration. Libraries
obey them for loopback and in-cluster addresses too, unless each of these is in ``no_proxy``. Nothing of ours asks the
Internet for anything, so nothing of ours obeys them.
"""

from __future__ import annotations

import os
import urllib.request
from collections.abc import MutableMapping
from http.client import HTTPResponse

_NAMES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "grpc_proxy", "ws_proxy", "wss_proxy")
GRPC_DIRECT = ("grpc.enable_http_proxy", 0)
"""A channel argument (grpc_types.h): gRPC looks at ``grpc_proxy``, ``https_proxy`` and ``http_proxy`` by itself."""
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ignore_proxies(environment: MutableMapping[str, str] = os.environ) -> None:
    """Take proxy variables out of a process's environment: for libraries that take no such option, and for children."""
    for name in [name for name in environment if name.lower() in _NAMES]:
        del environment[name]


def open_url(url: str | urllib.request.Request, timeout_s: float) -> HTTPResponse:
    """``urllib.request.urlopen``, without any proxy.

    Raises:
        OSError: nobody answers there, or not with success (``urllib.error.HTTPError``).
    """
    answer: HTTPResponse = _opener.open(url, timeout=timeout_s)
    return answer
