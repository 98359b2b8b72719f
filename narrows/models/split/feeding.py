"""Pictures as a network takes them: three planes of floats, normalised, or the picture's own bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from narrows.contract.errors import SplitError
from narrows.models.split.network import Network

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Normalisation:
    """Of values from 0 to 255: less the mean, over the deviation, of red, green and blue; ``bgr`` then swaps them."""

    mean: Sequence[float] = (0.0, 0.0, 0.0)
    deviation: Sequence[float] = (255.0, 255.0, 255.0)
    bgr: bool = False


@dataclass(frozen=True)
class Feeding:
    """How pictures become the input of one network."""

    height: int
    width: int
    planes_first: bool
    dtype: str
    normalisation: Normalisation

    @classmethod
    def of(cls, network: Network, normalisation: Normalisation) -> Feeding:
        """By the input's shape.

        Raises:
            SplitError: it is no single picture of three colours.
        """
        shape = network.input.shape
        if len(shape) == 4 and shape[0] == 1 and 3 in {shape[1], shape[3]}:
            first = shape[1] == 3
            height, width = shape[2:] if first else shape[1:3]
            return cls(height, width, first, network.input.dtype, normalisation)
        raise SplitError(f"input {network.input.name} is {'x'.join(map(str, shape))}: no picture, 1x3xHxW or 1xHxWx3")

    def resized(self, picture: Picture) -> Picture:
        """Height, width and colours as the network looks at them; what a server-only design sends."""
        if picture.shape[:2] == (self.height, self.width):
            return picture
        resized = Image.fromarray(picture).resize((self.width, self.height), Image.Resampling.BILINEAR)
        return np.asarray(resized)

    def feed(self, picture: Picture) -> NDArray[Any]:
        """The input."""
        pixels = self.resized(picture)
        given = self.normalisation
        scaled: NDArray[Any] = pixels
        if self.dtype.startswith("float"):
            scaled = (pixels - np.array(given.mean, np.float32)) / np.array(given.deviation, np.float32)
        ordered = scaled[..., ::-1] if given.bgr else scaled
        placed = ordered.transpose(2, 0, 1) if self.planes_first else ordered
        return np.ascontiguousarray(placed[None]).astype(self.dtype)
