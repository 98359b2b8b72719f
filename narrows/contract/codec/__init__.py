"""Symbols and how they travel: quantiser, integer tables, entropy coder. Specified in ``docs/symbol-coding.md``."""

from narrows.contract.codec.cost import ideal_bits
from narrows.contract.codec.counting import count_tables
from narrows.contract.codec.symbols import Memory, decode_symbols, encode_symbols, quantise, remember, symbol_digest
from narrows.contract.codec.tables import CodingTables

__all__ = [
    "CodingTables",
    "Memory",
    "count_tables",
    "decode_symbols",
    "encode_symbols",
    "ideal_bits",
    "quantise",
    "remember",
    "symbol_digest",
]
