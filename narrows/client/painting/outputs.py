"""A frame's outputs as a picture: which kinds can be painted, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from narrows.client.painting.overlay import to_palette_png
from narrows.client.painting.palette import Legend
from narrows.contract.outputs import OutputValue
from narrows.contract.outputs.labels import KIND as LABELS


def _paint_labels(value: OutputValue, legend: Legend, *, quick: bool) -> bytes:
    return to_palette_png(value.values, legend.palette(), quick=quick)


PAINTERS: Mapping[str, Callable[..., bytes]] = {LABELS: _paint_labels}
"""How a value of a kind becomes a PNG; a kind that is no picture is not here."""


def paint(outputs: Sequence[OutputValue], legend: Legend, *, quick: bool = False) -> bytes:
    """The first output that can be painted, as a PNG in the colours of ``legend``; empty where there is none.

    ``quick`` as in :func:`to_palette_png`.
    """
    for value in outputs:
        if painter := PAINTERS.get(value.output.kind):
            return painter(value, legend, quick=quick)
    return b""
