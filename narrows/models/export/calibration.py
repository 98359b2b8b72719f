"""What a network's ranges are measured on, in the form that ONNX Runtime's quantiser reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from narrows.runtime.onnx_runtime.quantization import CalibrationDataReader

Feed = Mapping[str, NDArray[Any]]
"""Arrays by the names of the graph's inputs."""


class Feeds(CalibrationDataReader):  # type: ignore[misc]  # untyped base
    """Hands feeds to the calibration, one by one."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._feeds: Iterator[Feed] = iter(feeds)

    def get_next(self) -> Feed | None:
        """The next feed, or ``None`` at the end."""
        return next(self._feeds, None)
