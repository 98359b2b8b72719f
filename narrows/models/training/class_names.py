"""Files that say which class of one list is which of another: a JSON object of names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from narrows.contract.errors import DatasetError, RecordError
from narrows.contract.json_text import decode_json

_MOST_BYTES = 1 << 16


def read_class_names(path: Path) -> dict[str, str]:
    """Names by names.

    Raises:
        DatasetError: the file cannot be read, or is something else.
    """
    try:
        found: Any = decode_json(path.read_bytes(), what=str(path), most_bytes=_MOST_BYTES)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from None
    except RecordError as error:
        raise DatasetError(str(error)) from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise DatasetError(f'{path} is no JSON object of names, such as {{"traffic_sign": "sign_symbol"}}')
    return found


def place_of(name: str, names: tuple[str, ...], source: Path) -> int:
    """Where a class stands in its list.

    Raises:
        DatasetError: it is in none.
    """
    if name not in names:
        raise DatasetError(f"{source} names {name!r}, which is no class there: {', '.join(names)}")
    return names.index(name)
