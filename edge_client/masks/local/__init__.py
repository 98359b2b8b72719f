"""The newest mask for others on site: as a file that is replaced, or streamed over a Unix socket."""

from edge_client.masks.local.local_masks import LocalMasks
from edge_client.masks.local.select import open_local_masks

__all__ = ["LocalMasks", "open_local_masks"]
