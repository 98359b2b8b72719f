"""Masks against labels, bits against pixels."""

from narrows.models.evaluation.confusion import ConfusionMatrix

__all__ = ["ConfusionMatrix"]
