"""Grafana's dashboards as code; `make dashboards` writes what Grafana loads."""
