"""Symbols and label maps and how they travel: quantiser, integer tables, entropy coders.

Specified in ``docs/symbol-coding.md`` and ``docs/label-coding.md``.
"""

from narrows.contract.codec.cost import ideal_bits
from narrows.contract.codec.counting import count_tables
from narrows.contract.codec.label_counting import count_label_tables
from narrows.contract.codec.label_tables import LabelTables, general_label_tables
from narrows.contract.codec.labels import decode_labels, encode_labels, label_digest
from narrows.contract.codec.symbols import (
    CodedPlane,
    DecodedPlane,
    Memory,
    decode_planes,
    decode_symbols,
    encode_symbols,
    quantise,
    remember,
    symbol_digest,
)
from narrows.contract.codec.tables import CodingTables

__all__ = [
    "CodedPlane",
    "CodingTables",
    "DecodedPlane",
    "LabelTables",
    "Memory",
    "count_label_tables",
    "count_tables",
    "decode_labels",
    "decode_planes",
    "decode_symbols",
    "encode_labels",
    "encode_symbols",
    "general_label_tables",
    "ideal_bits",
    "label_digest",
    "quantise",
    "remember",
    "symbol_digest",
]
