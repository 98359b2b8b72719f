"""Weights and states of trainings on disk: written whole; whatever is wrong with a file is told of by its name.

::

    file ─► read_stored ─► Stored ─┬─► fill: a network, an optimiser
                                   └─► rebuilt: the frozen values that were stored beside

Example: ``read_stored(path, "checkpoint of `narrows train`", {"average"}).fill(network, "average")``
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from narrows.contract.errors import WeightsMismatch
from narrows.runtime.writing import write_file

DAMAGED = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)
"""What ``torch.load`` raises of files that are damaged, or no files of its; none of it is documented.

Found with some thousands of mutated files of either of its formats (``tests/workshop/nn/test_stored.py``).
"""
BEGIN_ANEW = "delete it to begin anew, or name another run folder"
"""The remedy where a training would go on."""
_MAKE_ANEW = "give another, or make it anew"
_UNFIT = (AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What ``load_state_dict`` raises of states that are of another network or optimiser, or none at all."""
T = TypeVar("T")


class Fillable(Protocol):
    """A network or an optimiser."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Take over a stored state."""


@dataclass(frozen=True, eq=False)
class Stored:
    """What a file holds.

    Attributes:
        path: of the file.
        what: it is, as one would say it to a user.
        remedy: what to do if it is another.
        values: by name.
    """

    path: Path
    what: str
    remedy: str
    values: Mapping[str, Any]

    def fill(self, part: Fillable, name: str | None = None) -> None:
        """Load the state of that name, or the file as a whole, into a network or an optimiser.

        Raises:
            WeightsMismatch: it is of another one.
        """
        try:
            part.load_state_dict(dict(self.values if name is None else self.values[name]))
        except _UNFIT as error:
            raise self._mismatch(f"does not fit this {type(part).__name__}: {_first_words(error)}") from None

    def rebuilt(self, kind: type[T], name: str) -> T:
        """A frozen value of the fields that were stored under that name.

        Raises:
            WeightsMismatch: the fields are of another value.
        """
        try:
            fields = self.values[name].items()
            return kind(**{key: tuple(each) if isinstance(each, list) else each for key, each in fields})
        except _UNFIT as error:
            raise self._mismatch(f"has a {name!r} that is no {kind.__name__}: {_first_words(error)}") from None

    def tensors(self) -> list[Tensor]:
        """The file's values in their order.

        Raises:
            WeightsMismatch: there are others than tensors.
        """
        found = list(self.values.values())
        if not all(isinstance(each, Tensor) for each in found):
            raise self._mismatch("holds more than tensors")
        return found

    def _mismatch(self, told: str) -> WeightsMismatch:
        return WeightsMismatch(f"{self.path} {told}; wanted is a {self.what}: {self.remedy}")


def write_stored(values: Mapping[str, Any], path: Path) -> None:
    """Write a file that is whole, or as it was before, whenever the process is killed or the disk is full.

    Raises:
        FileUnwritable: it cannot be written; of a full disk torch itself raises a ``RuntimeError`` without a name.
    """
    content = io.BytesIO()
    torch.save(values, content)  # noqa: TID251
    write_file(path, content.getvalue())


def read_stored(path: Path, what: str, names: Collection[str] = (), remedy: str = _MAKE_ANEW) -> Stored:
    """Read what ``torch.save`` wrote; nothing in the file is run.

    Args:
        path: of the file.
        what: it should be, as one would say it to a user.
        names: that it must hold.
        remedy: what to do if it is something else.

    Raises:
        WeightsMismatch: it is missing, cannot be read, is damaged, or is something else.
    """
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    except FileNotFoundError:
        raise WeightsMismatch(f"{path} is missing: give a {what}") from None
    except OSError as error:
        raise WeightsMismatch(f"{path} cannot be read: {error.strerror or error}") from None
    except DAMAGED as error:
        raise WeightsMismatch(f"{path} is damaged, or no {what} ({_first_words(error)}): {remedy}") from None
    if not isinstance(values, Mapping) or not set(names) <= values.keys():
        raise WeightsMismatch(f"{path} is no {what}: {remedy}")
    return Stored(path, what, remedy, values)


def _first_words(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    said = lines[0] if len(lines) == 1 or not lines[0].endswith(":") else f"{lines[0]} {lines[1].strip()}"
    return said[:160].rstrip(".;:, ")
