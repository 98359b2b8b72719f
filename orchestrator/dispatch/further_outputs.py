"""A frame's outputs beside its label map, out of its batch. One that cannot be costs itself, not the frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from numpy.typing import NDArray

from narrows.contract.errors import InferenceFailed
from narrows.contract.outputs import Output, OutputValue, kind_of
from narrows.contract.outputs.labels import KIND as LABELS
from narrows.contract.wire.output_packet import OUTPUT_FIELD, OutputPacket
from narrows.runtime.reminder import Reminder
from orchestrator.inference.contract import Batch, ServedOutput
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)


def has_label_map(served: Sequence[ServedOutput]) -> bool:
    """Whether the first output is a label map, which a mask packet carries; where nothing is said, it is."""
    return not served or served[0].output.kind == LABELS


class FurtherOutputs:
    """Takes them, frame by frame: which values a head answers with is up to the frame, so neighbours keep theirs."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._reminder = Reminder()

    def of(self, served: Sequence[ServedOutput], outputs: Batch, i: int) -> tuple[OutputPacket, ...]:
        """One frame's outputs beside its label map, those that can be, as they lie in the slot."""
        begin = 1 if has_label_map(served) else 0
        return tuple(
            OutputPacket(OutputValue(each.output, values[i]), each.version)
            for each, values in zip(served[begin:], outputs[begin:], strict=True)
            if self._can_be(each, values[i : i + 1])
        )

    def left_out(self, fields: Sequence[tuple[bytes, bytes]], cause: str) -> None:
        """Redis did not take a frame with these fields, and took it without them."""
        for field, _ in fields:
            self._dropped(field.removeprefix(OUTPUT_FIELD).decode(), cause)

    def _can_be(self, served: ServedOutput, values: NDArray[Any]) -> bool:
        fault = _fault_of(served.output, values)
        if fault is not None:
            self._dropped(served.output.name, fault)
        return fault is None

    def _dropped(self, name: str, cause: str) -> None:
        self._metrics.outputs_dropped.labels(name).inc()
        if self._reminder.due(f"{name}: {cause}"):
            _log.warning("output_dropped", output=name, error=cause)


def _fault_of(output: Output, values: NDArray[Any]) -> str | None:
    """Why one frame's values of an output cannot be; none came where Triton answered in another form."""
    if not len(values):
        return f"Triton answered output {output.name} in another form than was declared"
    try:
        kind_of(output).check_answer(output, values)
    except InferenceFailed as error:
        return str(error)
    return None
