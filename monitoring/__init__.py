"""What the stack mounts into Prometheus, Alertmanager and Grafana."""
