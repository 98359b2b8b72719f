"""What Triton is told about a bundle's decoder: its configuration, and its folder in the model repository."""

from narrows.runtime.triton_config.config import (
    Backend,
    InstanceKind,
    head_parameter,
    head_parameters,
    model_config,
    model_name,
)
from narrows.runtime.triton_config.data_types import DATA_TYPES
from narrows.runtime.triton_config.exchange import with_heads_of
from narrows.runtime.triton_config.repository import fill_repository

__all__ = [
    "DATA_TYPES",
    "Backend",
    "InstanceKind",
    "fill_repository",
    "head_parameter",
    "head_parameters",
    "model_config",
    "model_name",
    "with_heads_of",
]
