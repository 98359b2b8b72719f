"""Planning while it runs: which design of a split network a camera uses, from what it measures. Pure, no torch."""

from narrows.contract.schedule.conditions import Conditions, Estimate
from narrows.contract.schedule.device_speed import DeviceSpeed
from narrows.contract.schedule.explanation import Explanation, explain
from narrows.contract.schedule.hysteresis import Hysteresis, Settings
from narrows.contract.schedule.objective import Constraints, Objective
from narrows.contract.schedule.planner import Decision, Planner, Reason
from narrows.contract.schedule.table import Design, Kind, PlanTable

__all__ = [
    "Conditions",
    "Constraints",
    "Decision",
    "Design",
    "DeviceSpeed",
    "Estimate",
    "Explanation",
    "Hysteresis",
    "Kind",
    "Objective",
    "PlanTable",
    "Planner",
    "Reason",
    "Settings",
    "explain",
]
