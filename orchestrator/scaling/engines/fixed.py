"""Servers that somebody else runs: they are seen, and their number is not ours to change."""

from __future__ import annotations

from narrows.contract.errors import ServiceError
from narrows.contract.records.report import DispatcherReport
from orchestrator.scaling.replicas import ActuationFailed, CapacityExhausted, Observed
from orchestrator.scaling.reports import Reports


class FixedServers:
    """The servers that dispatchers work with; as many slots as there are servers."""

    name = "none"

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    async def observe(self) -> Observed:
        """See :class:`orchestrator.scaling.replicas.Replicas`."""
        try:
            return seen_by(await self._reports.read())
        except ServiceError as error:
            raise ActuationFailed(str(error)) from None

    async def scale(self, target: int, seen: Observed, token: int) -> None:  # noqa: ARG002 - the contract's
        """Refuse any other number than there is.

        Raises:
            CapacityExhausted: ``target`` is not what there is.
        """
        if target != seen.wanted:
            raise CapacityExhausted(
                f"{target} servers are wanted and {seen.wanted} are there: no engine was given that could change it "
                "(--engine)"
            )

    async def close(self) -> None:
        """Nothing is held."""


def seen_by(reports: list[DispatcherReport]) -> Observed:
    """What the dispatchers see, each server counted once."""
    servers = {address: server for report in reports for address, server in report.servers.items() if server.ready}
    return Observed(wanted=len(servers), ready=len(servers), slots=len(servers), servers=tuple(sorted(servers)))
