"""A model as it is shipped: one folder, pinned by hashes, named by the hash of its manifest."""

from narrows.contract.bundle.bundle import Bundle, bundle_id_of, format_id, is_bundle, parse_id
from narrows.contract.bundle.heads import Head, Heads
from narrows.contract.bundle.int8_decoder import Int8Decoder
from narrows.contract.bundle.manifest import Cut, FileEntry, InputSpec, Manifest, RateLevel
from narrows.contract.bundle.model_input import ModelInput
from narrows.contract.bundle.split_bundle import (
    AnyBundle,
    ServedModel,
    SplitBundle,
    Tail,
    bundle_of,
    models_of,
    open_bundle,
)
from narrows.contract.bundle.split_manifest import SplitManifest, is_split_manifest

__all__ = [
    "AnyBundle",
    "Bundle",
    "Cut",
    "FileEntry",
    "Head",
    "Heads",
    "InputSpec",
    "Int8Decoder",
    "Manifest",
    "ModelInput",
    "RateLevel",
    "ServedModel",
    "SplitBundle",
    "SplitManifest",
    "Tail",
    "bundle_id_of",
    "bundle_of",
    "format_id",
    "is_bundle",
    "is_split_manifest",
    "models_of",
    "open_bundle",
    "parse_id",
]
