"""The referee: masks against labels, bits against pixels."""

from narrows.evaluation.confusion import ConfusionMatrix

__all__ = ["ConfusionMatrix"]
