"""How well things are outlined, and what needs no network to be reached."""

from narrows.models.promptable.evaluation.scores import PromptScores
from narrows.models.promptable.evaluation.split import Split, evaluate_split

__all__ = ["PromptScores", "Split", "evaluate_split"]
