"""The first picture of a source, written as the encoder gets it: is it upright, in colour, and of the right camera?"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from threading import Event, Timer

from PIL import Image

from edge_client.capture.sources import open_source
from edge_client.encode.encoder import fitted
from narrows.contract.bundle import open_bundle
from narrows.contract.errors import SourceError
from narrows.runtime.redact import redact

PICTURE_S = 15.0
"""How long a camera may take to give a picture."""


def write_preview(source: str, out: Path, bundle: Path | None) -> str:
    """Write the first picture, upright and at the bundle's size if there is one; answers what was written, in words.

    Raises:
        SourceError: there is no picture, or the file cannot be written.
        BundleError: the bundle cannot be used.
    """
    stop = Event()
    timer = Timer(PICTURE_S, stop.set)
    timer.daemon = True
    size = None if bundle is None else open_bundle(bundle).manifest.input
    timer.start()
    try:
        with closing(open_source(source, loop=False, stop=stop)) as opened:
            frame = opened.read()
    finally:
        timer.cancel()
    if frame is None:
        raise SourceError(f"no picture from {redact(source)} in {PICTURE_S:.0f} s: is it on, and the address right?")
    shown = frame.picture if size is None else fitted(frame.picture, size.width, size.height)
    try:
        Image.fromarray(shown).save(out)
    except (OSError, ValueError) as error:
        raise SourceError(f"--preview {out} cannot be written ({error}): give a path as preview.png") from None
    before, after = (f"{each.shape[1]}x{each.shape[0]}" for each in (frame.picture, shown))
    scaled = f"{before}, scaled to {after} as the encoder gets it" if size else f"{before}; --bundle scales it"
    return f"{out}: {frame.name}, upright {scaled}"
