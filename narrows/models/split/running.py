"""A graph is run once before anything is made of it: what ONNX Runtime does not run, nobody can serve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from narrows.contract.errors import NotRunnable, SplitError
from narrows.models.split.network import Tensor
from narrows.runtime.onnx_runtime import REFUSALS, InferenceSession, SessionOptions
from narrows.runtime.words import first_line

MOST_INPUT_VALUES = 1 << 27
"""Of an input: a picture of 6,700 pixels square in three colours, half a gigabyte in floats."""
_MOST_SAID = 240
_REFUSALS: tuple[type[Exception], ...] = (*REFUSALS, MemoryError)


def check_input(source: Tensor) -> None:
    """Refuse an input that no camera gives, before memory for it is asked for.

    Raises:
        SplitError: it has too many values.
    """
    if math.prod(source.shape) > MOST_INPUT_VALUES:
        sides = "x".join(map(str, source.shape))
        raise SplitError(f"input {source.name} is {sides}: a picture has {MOST_INPUT_VALUES:,} values at most")


def answers(
    model: onnx.ModelProto, name: str, source: Tensor, wanted: Sequence[str], pictures: Sequence[NDArray[Any]]
) -> list[list[Any]]:
    """What the graph answers to each picture.

    Raises:
        NotRunnable: ONNX Runtime refuses it, or runs out of memory.
    """
    options = SessionOptions()
    options.log_severity_level = 4  # what is refused is raised
    try:
        session = InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return [session.run(list(wanted), {source.name: picture.astype(source.dtype)}) for picture in pictures]
    except _REFUSALS as error:
        raise NotRunnable(f"ONNX Runtime does not run {name}: {_said(error)}") from None


def black(source: Tensor) -> NDArray[Any]:
    """A picture of zeros."""
    return np.zeros(source.shape, source.dtype)


def _said(error: Exception) -> str:
    """The first line; of a long one, which begins with places in ONNX Runtime's source, the end."""
    line = first_line(error)
    return line if len(line) <= _MOST_SAID else f"… {line[-_MOST_SAID:]}"
