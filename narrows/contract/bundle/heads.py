"""What the cloud answers with beside the camera's side: files next to the manifest, outside the bundle's id.

::

    heads.json              the record: which heads there are, in the order of their outputs, and every hash
    head.NAME.onnx          one head: reads `symbols`, `level` or tensors of decoder.onnx; answers output NAME
    decoder.heads.onnx      the decoder and all heads as one graph, whose trunk runs once: what Triton runs
    decoder.heads.int8.onnx the same around the decoder's int8 twin, where there is one: for INT8 engines

The id says what symbols mean: packets carry it, and cameras need to know no more. A head only reads symbols, so it
has a version of its own, and is added, changed or removed without a camera's noticing. A bundle whose manifest does not
pin decoder.onnx has that pinned here too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from msgspec import Meta, to_builtins

from narrows.contract.bundle.manifest import FileEntry, Manifest
from narrows.contract.errors import (
    BundleError,
    HeadKindUnknown,
    HeadNameTaken,
    HeadOfAnotherBundle,
    OutputIsTheDecoders,
    RecordError,
)
from narrows.contract.outputs import KINDS, Output, check_outputs
from narrows.contract.wire.record import decode_record

SCHEMA_VERSION = 1
RECORD = "heads.json"
DECODER_HEADS, DECODER_HEADS_INT8 = "decoder.heads.onnx", "decoder.heads.int8.onnx"
_MAX_RECORD_BYTES = 1 << 20
_Byte = Annotated[int, Meta(ge=0, le=255)]
T = TypeVar("T", "Head", "Heads")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Head:
    """One head, as its own record and the bundle's list have it.

    Attributes:
        output: what it answers with; its name is the head's.
        file: its graph.
        symbols_sha256: of the bundles that it can read: :attr:`Manifest.symbols_sha256`.
        decoder_sha256: the decoder whose tensors it reads; ``None`` where it reads the symbols alone.
        palette: a colour for each class, where it is a label map.
        provenance: what it was trained on, and how.
    """

    output: Output
    file: FileEntry
    symbols_sha256: str
    decoder_sha256: str | None = None
    palette: tuple[tuple[_Byte, _Byte, _Byte], ...] = ()
    provenance: str = ""
    schema: int = SCHEMA_VERSION

    @property
    def name(self) -> str:
        """Of the head and of its output."""
        return self.output.name

    @property
    def version(self) -> str:
        """The first 16 hexadecimal digits of the hash of all that is said here, which pins the graph."""
        return hashlib.sha256(_canonical(self)).hexdigest()[:16]

    @property
    def file_name(self) -> str:
        """Where its graph lies in a bundle's folder."""
        return f"head.{self.name}.onnx"

    def to_json(self) -> bytes:
        """What stands beside a head that is in no bundle yet."""
        return _canonical(self)

    @classmethod
    def parse(cls, data: bytes, *, what: str = "head.json") -> Head:
        """Read what :meth:`to_json` wrote.

        Raises:
            BundleError: no JSON, another schema, or a field that is missing or makes no sense.
            HeadKindUnknown: its output is of a kind that this build does not know.
        """
        head = _decoded(data, cls, what)
        _check_head(head)
        return head


@dataclass(frozen=True)
class Heads:
    """What stands in a bundle's ``heads.json``.

    Attributes:
        heads: in the order of their outputs.
        decoder: the decoder's graph, where the manifest does not pin it.
        merged: decoder and heads as one graph; there where there are heads.
        merged_int8: the same around the int8 twin.
    """

    heads: tuple[Head, ...] = ()
    decoder: FileEntry | None = None
    merged: FileEntry | None = None
    merged_int8: FileEntry | None = None
    schema: int = SCHEMA_VERSION

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What the heads answer with."""
        return tuple(head.output for head in self.heads)

    def head(self, name: str) -> Head | None:
        """The head of that name."""
        return next((head for head in self.heads if head.name == name), None)

    def to_json(self) -> bytes:
        """What stands in the record."""
        return _canonical(self)

    @classmethod
    def parse(cls, data: bytes) -> Heads:
        """Read a record.

        Raises:
            BundleError: no JSON, another schema, or a field that is missing or makes no sense.
            HeadKindUnknown: an output is of a kind that this build does not know.
        """
        heads = _decoded(data, cls, RECORD)
        for head in heads.heads:
            _check_head(head)
        if (heads.merged is None) == bool(heads.heads) or (heads.merged_int8 is not None and heads.merged is None):
            raise BundleError(f"{RECORD}: {DECODER_HEADS} is pinned where there are heads, and only there")
        return heads

    def check(self, manifest: Manifest, decoder_sha256: str) -> None:
        """Refuse heads that are not of this bundle, or that do not go together.

        Raises:
            HeadOfAnotherBundle: one was trained on other symbols, or reads tensors of another decoder.
            HeadNameTaken: two outputs of one name.
            BundleError: more outputs than a bundle may have.
        """
        for head in self.heads:
            check_belongs(head, manifest, decoder_sha256)
        check_names((*manifest.outputs, *self.outputs))
        check_outputs((*manifest.outputs, *self.outputs))


def read_heads(folder: Path) -> Heads:
    """The record in a bundle's folder; one without heads where there is none. The graphs are not looked at.

    Raises:
        BundleError: it makes no sense.
    """
    path = folder / RECORD
    return Heads.parse(path.read_bytes()) if path.is_file() else Heads()


def check_belongs(head: Head, manifest: Manifest, decoder_sha256: str) -> None:
    """Refuse a head of another bundle.

    Raises:
        HeadOfAnotherBundle: its symbols mean something else, or it reads tensors of another decoder.
    """
    if head.symbols_sha256 != manifest.symbols_sha256:
        raise HeadOfAnotherBundle(
            f"head {head.name} was trained on symbols {head.symbols_sha256[:16]}; this bundle's are "
            f"{manifest.symbols_sha256[:16]}: train it anew on this bundle (`narrows head train`)"
        )
    if head.decoder_sha256 not in {None, decoder_sha256}:
        raise HeadOfAnotherBundle(
            f"head {head.name} reads tensors of decoder {str(head.decoder_sha256)[:16]}; this bundle's is "
            f"{decoder_sha256[:16]}: train it anew on this bundle (`narrows head train`)"
        )


def check_names(outputs: Sequence[Output]) -> None:
    """Refuse two outputs of one name.

    Raises:
        HeadNameTaken: with the name.
    """
    name, count = Counter(output.name for output in outputs).most_common(1)[0]
    if count > 1:
        raise HeadNameTaken(f"there are two outputs named {name!r}: remove one (`narrows head remove {name}`)")


def check_removable(name: str, manifest: Manifest, heads: Heads) -> Head:
    """The head of that name, if it may go.

    Raises:
        OutputIsTheDecoders: it is no head but an output of the decoder, which always answers.
        BundleError: there is no such head.
    """
    if name in {output.name for output in manifest.outputs}:
        raise OutputIsTheDecoders(
            f"{name} is the decoder's own output, what masks carry first: a bundle is never without it"
        )
    found = heads.head(name)
    if found is None:
        there = ", ".join(head.name for head in heads.heads) or "none"
        raise BundleError(f"there is no head {name!r}; heads of this bundle: {there}")
    return found


def _check_head(head: Head) -> None:
    if head.schema != SCHEMA_VERSION:
        raise BundleError(f"head {head.name} has schema {head.schema}; this build speaks {SCHEMA_VERSION}: upgrade it")
    kind = KINDS.get(head.output.kind)
    if kind is None:
        raise HeadKindUnknown(
            f"head {head.name} answers with kind {head.output.kind!r}; this build knows {', '.join(KINDS)}: upgrade it"
        )
    kind.check_declared(head.output)
    if head.palette and len(head.palette) != len(head.output.classes):
        raise BundleError(f"head {head.name}: {len(head.palette)} colours for {len(head.output.classes)} classes")
    for digest in (head.symbols_sha256, head.decoder_sha256, head.file.sha256):
        if digest is not None and not _SHA256.fullmatch(digest):
            raise BundleError(f"head {head.name}: {digest[:70]!r} is no SHA-256 in hexadecimal digits")


def _decoded(data: bytes, kind: type[T], what: str) -> T:
    try:
        found = decode_record(data, kind, what=what, most_bytes=_MAX_RECORD_BYTES)
    except RecordError as error:
        raise BundleError(str(error)) from None
    if found.schema != SCHEMA_VERSION:
        raise BundleError(f"{what} has schema {found.schema}; this build speaks {SCHEMA_VERSION}: upgrade it")
    return found


def _canonical(value: Head | Heads) -> bytes:
    return (json.dumps(to_builtins(value), indent=1, sort_keys=True) + "\n").encode()
