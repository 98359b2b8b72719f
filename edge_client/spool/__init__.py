"""Coded frames on disk while the link is away: bounded, checksummed, in order. ``record.py`` has the format."""

from edge_client.spool.keep import Keep
from edge_client.spool.spool import Spool

__all__ = ["Keep", "Spool"]
