"""The one door for pictures: whoever takes pixels, be it a camera, training or a benchmark, gets them from here.

::

    still file ──► mode, depth, transparency, ICC profile ──► RGB ──┐
                                                                    ├──► EXIF turn, display matrix ──► upright RGB
    decoded video frame ──► matrix, range, depth ───────────► RGB ──┘

    label file ──► values as they stand, never mixed ──► EXIF turn ──► label map

A picture comes out as a viewer shows it, or is refused by name: :class:`narrows.contract.errors.PictureError`.
"""

from narrows.runtime.pictures.labels import read_labels
from narrows.runtime.pictures.source_size import labels_at_source_size
from narrows.runtime.pictures.still import PICTURE_SUFFIXES, read_picture
from narrows.runtime.pictures.video_frame import frame_picture

__all__ = ["PICTURE_SUFFIXES", "frame_picture", "labels_at_source_size", "read_labels", "read_picture"]
