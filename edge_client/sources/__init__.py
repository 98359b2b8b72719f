"""Picture folders, video files and cameras, behind one contract: :mod:`edge_client.sources.base`."""

from edge_client.sources.base import Frame, Source
from edge_client.sources.select import open_source

__all__ = ["Frame", "Source", "open_source"]
