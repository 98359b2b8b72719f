"""The interface that every kind of output implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from numpy.typing import NDArray

from narrows.contract.errors import BundleError, InferenceFailed
from narrows.contract.outputs.output import Output, OutputValue


class OutputKind(ABC):
    """One kind of output.

    ::

        bundle's manifest ── check_declared ─► Output
        Triton's answer ──── check_answer ───► values of a batch, (n, *shape)
        one frame's value ── pack ─► bytes ── unpack ─► the same value

    Attributes:
        name: as bundles write it.
        dtypes: that its values may have.
        packings: by which its values become bytes.
    """

    name: ClassVar[str]
    dtypes: ClassVar[tuple[str, ...]]
    packings: ClassVar[tuple[str, ...]]

    def check_declared(self, output: Output) -> None:
        """Refuse a declaration that makes no sense.

        Raises:
            BundleError: another dtype or packing, or a shape or classes that the kind cannot have.
        """
        for field, allowed in (("dtype", self.dtypes), ("packing", self.packings)):
            if getattr(output, field) not in allowed:
                raise BundleError(
                    f"output {output.name}: {field} {getattr(output, field)!r}; "
                    f"{self.name} have {' or '.join(map(repr, allowed))}"
                )
        self.check_shape(output)

    def check_answer(self, output: Output, values: NDArray[Any]) -> None:
        """Refuse what a server answered for a batch, ``(n, *shape)``.

        Raises:
            InferenceFailed: another dtype or shape than declared, or values that the kind cannot have.
        """
        if values.dtype != output.dtype or values.shape[1:] != output.shape:
            raise InferenceFailed(
                f"Triton answered {values.dtype} {values.shape[1:]} for output {output.name}, "
                f"which the bundle declares as {output.dtype} {output.shape}"
            )
        self.check_values(output, values)

    @abstractmethod
    def check_shape(self, output: Output) -> None:
        """Refuse a shape or classes that the kind cannot have.

        Raises:
            BundleError: with the name of the output.
        """

    @abstractmethod
    def check_values(self, output: Output, values: NDArray[Any]) -> None:
        """Refuse values ``(n, *shape)`` that no decoder should answer with. It runs for every batch.

        Raises:
            InferenceFailed: with the name of the output.
        """

    @abstractmethod
    def pack(self, value: OutputValue) -> bytes:
        """One frame's values in the output's packing, losslessly."""

    @abstractmethod
    def unpack(self, output: Output, data: bytes) -> OutputValue:
        """The values from what :meth:`pack` made, whatever the bytes; allocates little more than they take.

        Raises:
            RecordError: the bytes are no values of this output.
        """
