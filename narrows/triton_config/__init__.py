"""What Triton is told about a bundle's decoder: its configuration, and its folder in the model repository."""

from narrows.triton_config.config import Backend, Kind, model_config, model_name
from narrows.triton_config.repository import fill_repository

__all__ = ["Backend", "Kind", "fill_repository", "model_config", "model_name"]
