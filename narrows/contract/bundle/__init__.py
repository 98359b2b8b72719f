"""A model as it is shipped: one folder, pinned by hashes, named by the hash of its manifest."""

from narrows.contract.bundle.bundle import Bundle, bundle_id_of, format_id, parse_id
from narrows.contract.bundle.heads import Head, Heads
from narrows.contract.bundle.int8_decoder import Int8Decoder
from narrows.contract.bundle.manifest import Cut, FileEntry, InputSpec, Manifest, RateLevel

__all__ = [
    "Bundle",
    "Cut",
    "FileEntry",
    "Head",
    "Heads",
    "InputSpec",
    "Int8Decoder",
    "Manifest",
    "RateLevel",
    "bundle_id_of",
    "format_id",
    "parse_id",
]
