"""Picture folders, video files and cameras, behind one contract: :mod:`edge_client.sources.base`."""

from edge_client.sources.base import Frame, Source
from edge_client.sources.select import is_live, open_source

__all__ = ["Frame", "Source", "is_live", "open_source"]
