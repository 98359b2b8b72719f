"""Picture folders, video files and cameras, behind one contract: :mod:`edge_client.capture.sources.base`."""

from edge_client.capture.sources.base import CameraFrame, CameraSource
from edge_client.capture.sources.select import examples, is_live, open_source

__all__ = ["CameraFrame", "CameraSource", "examples", "is_live", "open_source"]
