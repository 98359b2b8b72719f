"""The rivals: the same tables through constriction, a general compressor, and the picture itself without loss."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import constriction
import numpy as np
import zstandard
from numpy.typing import NDArray
from PIL import Image

from benchmarks.codec.coder import Coder
from benchmarks.codec.numpy_contexts import table_indices
from narrows.contract.codec import CodingTables

Plane = NDArray[np.int8]


def through_constriction(planes: Sequence[Plane], tables: CodingTables, level: int) -> list[Coder]:
    """The same contexts and tables through constriction's ANS, symbols sorted by table (its fastest form).

    Once with the contexts handed over ready-made, the coder alone; once with the contexts in NumPy, which only an
    encoder can do: a decoder's contexts need the symbol to the left.
    """
    rival = _Constriction(tables, level)
    ready = [table_indices(plane, tables, level) for plane in planes]
    return [
        Coder("constriction, same tables, contexts given", ready, rival.encode, rival.decode, _size_bytes),
        Coder(
            "constriction, same tables, contexts in NumPy",
            planes,
            lambda plane: rival.encode(table_indices(plane, tables, level)),
            None,
            _size_bytes,
        ),
    ]


@dataclass(frozen=True)
class Sorted:
    """Symbols coded table by table: what a decoder gets, and the order that its contexts would tell it."""

    words: NDArray[np.uint32]
    counts: NDArray[np.intp]
    order: NDArray[np.intp]


def _size_bytes(code: Sorted) -> int:
    return code.words.nbytes


class _Constriction:
    def __init__(self, tables: CodingTables, level: int) -> None:
        frequencies = tables.at(level).frequencies
        categorical = constriction.stream.model.Categorical
        self.models = [categorical(table.astype(np.float64) / 65536, perfect=False) for table in frequencies]
        self.escapes = np.array([len(table) - 1 for table in frequencies])
        self.tail = constriction.stream.model.Uniform(255)

    def encode(self, coded: tuple[NDArray[np.intp], NDArray[np.intp]]) -> Sorted:
        which, indices = coded
        order = np.argsort(which.astype(np.uint8), kind="stable")
        counts = np.bincount(which, minlength=len(self.models))
        most = self.escapes[which]
        groups = np.split(np.minimum(indices, most)[order].astype(np.int32), np.cumsum(counts)[:-1])
        coder = constriction.stream.stack.AnsCoder()
        if len(tails := (indices - most)[order][(indices >= most)[order]].astype(np.int32)):
            coder.encode_reverse(tails, self.tail)
        for model, group in zip(reversed(self.models), reversed(groups), strict=True):
            if len(group):
                coder.encode_reverse(group, model)
        return Sorted(coder.get_compressed(), counts, order)

    def decode(self, code: Sorted) -> NDArray[np.int32]:
        """The indices in plane order."""
        coder = constriction.stream.stack.AnsCoder(code.words)
        groups = [coder.decode(m, int(count)) for m, count in zip(self.models, code.counts, strict=True) if count]
        ordered = np.concatenate(groups)
        escaped = ordered == np.repeat(self.escapes, code.counts)
        if escaped.any():
            ordered[escaped] += coder.decode(self.tail, int(escaped.sum()))
        indices = np.empty(len(code.order), dtype=np.int32)
        indices[code.order] = ordered
        return indices


def through_zstd(planes: Sequence[Plane], effort: int) -> Coder:
    """The int8 plane as bytes."""
    squeeze, unpack = zstandard.ZstdCompressor(level=effort), zstandard.ZstdDecompressor()
    return Coder(
        f"zstd -{effort} of the int8 plane", [p.tobytes() for p in planes], squeeze.compress, unpack.decompress
    )


def through_picture(name: str, pictures: Sequence[NDArray[np.uint8]], file_format: str, **options: object) -> Coder:
    """The frame itself, without loss."""

    def encode(picture: Image.Image) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, file_format, **options)
        return buffer.getvalue()

    def decode(data: bytes) -> NDArray[np.uint8]:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))  # noqa: TID251 -- coded a moment before

    return Coder(name, [Image.fromarray(picture) for picture in pictures], encode, decode)
