"""A thing that someone points at in a picture, and the small network that outlines it.

::

    prompt (box, points) ──► window: a square around it ──► crop, 96 x 96 ──┐
                                                    prompt as three maps ──┴─► network ──► logits ──► source pixels

Numpy, Pillow and ONNX Runtime alone: a camera runs this. Training and evaluation are ``narrows.models.promptable``.
"""

from narrows.runtime.prompting.prompt import Box, Point, Prompt
from narrows.runtime.prompting.window import Window

__all__ = ["Box", "Point", "Prompt", "Window"]
