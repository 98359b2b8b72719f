"""Which Triton servers there are, and which of them get no new work.

A package of its own, for the servers are the business of no single bundle: every bundle's pool
(:mod:`orchestrator.inference.pool`) follows the same :class:`Roster`.
"""

from orchestrator.replicas.roster import Roster
from orchestrator.replicas.sources import Source, parse_sources

__all__ = ["Roster", "Source", "parse_sources"]
