"""The engines that run servers, each behind the contract :mod:`orchestrator.autoscale.replicas`."""
