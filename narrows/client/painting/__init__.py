"""Masks for people to look at: palette pictures and overlays."""

from narrows.client.painting.outputs import paint
from narrows.client.painting.overlay import blend, side_by_side, to_palette_png
from narrows.client.painting.palette import Legend, colour_wheel
from narrows.runtime.prompting.outlines import paint_outlines

__all__ = ["Legend", "blend", "colour_wheel", "paint", "paint_outlines", "side_by_side", "to_palette_png"]
