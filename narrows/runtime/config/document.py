"""The table of all keys in ``docs/configuration.md``."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from narrows.runtime.config.effective import in_words
from narrows.runtime.config.key import Key

BEGIN, END = "<!-- keys -->", "<!-- /keys -->"


def table(keys: Iterable[Key]) -> str:
    """Markdown: a heading and a table for each section."""
    parts = []
    for section, members in groupby(keys, key=lambda key: key.section):
        rows = [_row(key) for key in members if not key.hidden]
        head = ["| key | value | default | environment | what it is |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"### `[{section}]`", "", *head, *rows]))
    return "\n\n".join(parts)


def with_table(document: str, keys: Iterable[Key]) -> str:
    """``document`` with the present table between its marks.

    Raises:
        ValueError: the marks are not there.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{table(keys)}\n\n{END}{after}"


def _row(key: Key) -> str:
    cells = (f"`{key.name}`", key.expects, _default(key), f"`{key.variable}`", key.help)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(key: Key) -> str:
    if not key.has_default:
        return "required"
    return key.absent if key.default is None else f"`{in_words(key.default)}`"
