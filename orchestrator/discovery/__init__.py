"""Which Triton servers there are, and which of them get no new work.

A package of its own, for the servers are the business of no single bundle: every bundle's pool
(:mod:`orchestrator.inference.pool`) follows the same
:class:`~orchestrator.discovery.service_discovery.ServiceDiscovery`. It imports nothing here: who needs an address
alone, as the page does, loads nothing of the dispatcher.
"""
