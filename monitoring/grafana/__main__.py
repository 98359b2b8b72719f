"""``make dashboards``: write ``monitoring/grafana/dashboards/*.json``.

Example: python -m monitoring.grafana
"""

from monitoring.grafana.write import write

for path in write():
    print(path)  # noqa: T201
