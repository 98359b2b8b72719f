"""Ports that are free on this machine's loopback address."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """``count`` different TCP ports that the kernel gives nobody else for a minute.

    A server can bind them if it sets ``SO_REUSEADDR``, as servers do; who names the same port can still be first.
    """
    return [_reserved() for _ in range(count)]


def _reserved() -> int:
    """A port with a connection in TIME_WAIT, which a bind to port 0 passes over (tcp(7), RFC 9293 section 3.6.1)."""
    with socket.create_server((LOOPBACK, 0)) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        accepted.close()  # who closes first keeps TIME_WAIT
        return int(listener.getsockname()[1])
