"""Masks of things that an operator points at: checked here, and passed on as they came. They need no server."""

from __future__ import annotations

from functools import partial

from narrows.contract.errors import PayloadUndecodable, RecordError
from narrows.contract.outputs.objects import Objects, objects_value
from narrows.contract.wire.output_packet import OutputPacket
from orchestrator.dispatch.digests import check_digest
from orchestrator.dispatch.sections import CodedObjects
from orchestrator.dispatch.workers import Workers

_PIXELS_A_BYTE = 256
"""An object of 40 bytes has a mask of 96 x 96 pixels."""


async def pass_on(coded: CodedObjects, workers: Workers) -> OutputPacket:
    """The frame's output of objects.

    Raises:
        PayloadUndecodable: the payload is no objects.
        DigestMismatch: their masks are others than the camera coded.
    """
    work = _PIXELS_A_BYTE * len(coded.section.payload)
    await workers.on_pixels(work, partial(_check, coded))
    return OutputPacket(objects_value(coded.section.payload), f"{coded.network:016x}")


def _check(coded: CodedObjects) -> None:
    try:
        objects = Objects.parse(coded.section.payload)
    except RecordError as error:
        raise PayloadUndecodable(str(error)) from None
    check_digest(coded.section, objects.digest(), "objects")
