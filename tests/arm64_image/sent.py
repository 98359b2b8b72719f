"""What a camera's program sends of the samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis

from narrows.contract.wire import StreamKeys

FRAMES = 24
_UNHURRIED = ("--key-period-s", "0", "--fps", "240", "--max-age-s", "0", "--maxlen", "1000")


@dataclass(frozen=True)
class Camera:
    """A command line of ``narrows edge`` and the stream that it is to send."""

    command: Sequence[str]
    stream: str
    shards: int


def sent(camera: Camera, client: redis.Redis, level: int, run: Callable[[Sequence[str]], str]) -> list[bytes]:
    """Packets of every sample, keys all of them, in order."""
    asked = ["--stream-id", camera.stream, "--level", str(level), "--frames", str(FRAMES)]
    run([*camera.command, *asked, *_UNHURRIED])
    key = StreamKeys.of(camera.stream, camera.shards).features
    entries: list[tuple[bytes, dict[bytes, bytes]]] = client.xrange(key)  # type: ignore[assignment]
    return [fields[b"p"] for _, fields in entries]
