"""The settings of streams, as operators keep them in Redis."""

from __future__ import annotations

import structlog

from narrows.contract.errors import RecordError
from narrows.contract.wire.streams import StreamSettings

_log = structlog.get_logger(__name__)


def read_settings(
    stream: str, record: bytes | None, present: StreamSettings, default: StreamSettings
) -> StreamSettings:
    """What a record asks for; the default if there is none, and what is present if it cannot be read."""
    if record is None:
        return default
    try:
        return StreamSettings.parse(record)
    except RecordError as error:
        _log.warning("stream_settings_unreadable", stream=stream, error=str(error))
        return present
