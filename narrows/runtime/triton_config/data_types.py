"""Triton's names of data types: as its protocol writes them; ``config.pbtxt`` puts ``TYPE_`` before."""

from __future__ import annotations

from collections.abc import Mapping

# https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_configuration.md#datatypes
DATA_TYPES: Mapping[str, str] = {
    "uint8": "UINT8",
    "int8": "INT8",
    "uint16": "UINT16",
    "int32": "INT32",
    "float16": "FP16",
    "float32": "FP32",
}
"""By NumPy's name."""
