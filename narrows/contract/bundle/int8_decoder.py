"""The decoder's int8 twins: optional pairs of files beside the manifest, outside the bundle's id.

::

    decoder.int8.onnx    decoder.onnx with quantise-dequantise nodes; TensorRT builds INT8 engines from it
    decoder.int8.json    the record: which decoder it is the twin of, its hash, what it loses
    decoder.cpu.onnx     decoder.onnx quantised as ONNX Runtime runs it fastest on processors; the CPU profile serves it
    decoder.cpu.json     its record, of the same form

The id says what symbols mean. A twin reads the same symbols and is to answer with the same masks, as an FP16 engine
is; so a bundle in the field can be given one, or lose it, without a camera's noticing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from narrows.contract.errors import BundleError, RecordError
from narrows.contract.wire.record import Count, decode_record

SCHEMA_VERSION = 1
DECODER_INT8, RECORD = "decoder.int8.onnx", "decoder.int8.json"
DECODER_CPU, CPU_RECORD = "decoder.cpu.onnx", "decoder.cpu.json"
TWINS = (DECODER_INT8, RECORD, DECODER_CPU, CPU_RECORD)


@dataclass(frozen=True)
class Int8Decoder:
    """What is known of a twin.

    Attributes:
        decoder_sha256: the file that it is the twin of.
        sha256: its own.
        size_bytes: its own.
        calibration_frames: pictures that its ranges were measured on, at every rate level.
        held_out_frames: other pictures of the same split, that the loss was measured on.
        points_lost: of mIoU, by rate level; below zero where it gained.
        agreement: the share of pixels to which both give the same class, by rate level.
    """

    decoder_sha256: str
    sha256: str
    size_bytes: Count
    calibration_frames: Count
    held_out_frames: Count
    points_lost: tuple[float, ...]
    agreement: tuple[float, ...]
    schema: int = SCHEMA_VERSION

    def to_json(self) -> bytes:
        """What stands in the record."""
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes, *, what: str = RECORD) -> Int8Decoder:
        """Read a record.

        Raises:
            BundleError: no JSON, another schema, or a field that is missing or makes no sense.
        """
        try:
            found = decode_record(data, cls, what=what, most_bytes=1 << 20)
        except RecordError as error:
            raise BundleError(str(error)) from None
        if found.schema != SCHEMA_VERSION:
            raise BundleError(f"{what} has schema {found.schema}; this build speaks {SCHEMA_VERSION}")
        return found


def read_int8_decoder(folder: Path, decoder_sha256: str, *, name: str = RECORD) -> Int8Decoder | None:
    """The record ``name`` in a bundle's folder; ``None`` where there is none. The graph itself is not looked at.

    Raises:
        BundleError: it makes no sense, or is that of another decoder.
    """
    path = folder / name
    if not path.is_file():
        return None
    record = Int8Decoder.parse(path.read_bytes(), what=name)
    if record.decoder_sha256 != decoder_sha256:
        raise BundleError(f"{path} is of another decoder: delete it, or run `narrows bundle quantise` again")
    return record


def drop_int8_decoders(folder: Path) -> None:
    """Take the twins out of a bundle's folder, the records first."""
    for name in (RECORD, CPU_RECORD, DECODER_INT8, DECODER_CPU):
        (folder / name).unlink(missing_ok=True)
