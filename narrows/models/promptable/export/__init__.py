"""From a run folder to what a sensor's converter is given: int8 graph, reports, flat weights, golden vectors."""

from narrows.models.promptable.export.write import export_sensor

__all__ = ["export_sensor"]
