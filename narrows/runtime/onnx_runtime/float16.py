"""ONNX Runtime's converter to float16, which needs the package ``onnx`` too."""

from __future__ import annotations

from onnxruntime.transformers.float16 import convert_float_to_float16

__all__ = ["convert_float_to_float16"]
