"""``--local-masks``: which place it means."""

from __future__ import annotations

from pathlib import Path

from edge_client.masks.local.folder import LocalMaskFolder
from edge_client.masks.local.local_masks import LocalMasks
from edge_client.masks.local.unix_socket import LocalMaskSocket
from narrows.contract.bundle import Bundle
from narrows.contract.errors import StateError

_SOCKET = "unix:"


def open_local_masks(place: str, stream: str, bundle: Bundle) -> LocalMasks:
    """A folder, or ``unix:PATH`` of a socket.

    Raises:
        StateError: it names no path, it cannot be written, or another program has it.
    """
    if place in {"", _SOCKET}:
        raise StateError(f"--local-masks {place!r} names no path: give a folder, or unix:PATH for a socket")
    if place.startswith(_SOCKET):
        return LocalMaskSocket(Path(place.removeprefix(_SOCKET)), bundle)
    return LocalMaskFolder(Path(place), stream, bundle)
