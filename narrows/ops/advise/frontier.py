"""What weak cameras were measured to be better off with: the margins of `make bench-frontier`, by budget.

Features must earn their place. Where they were not measured to beat the camera's own mask, or nothing was measured, the
answer is the mask.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from narrows.contract.errors import RecordError
from narrows.contract.json_text import decode_object
from narrows.contract.wire import Sends

_MOST_BYTES = 1 << 22
_SENDS = {"mask": Sends.MASKS, "features": Sends.FEATURES, "layered": Sends.MASKS}
"""By verdict. Where a mask with features beside it wins, and features alone do not, a camera sends its mask."""


@dataclass(frozen=True)
class FrontierVerdicts:
    """What to send at each budget, in GMAC of the camera's network; empty where nothing was measured."""

    by_budget_gmac: Mapping[float, Sends] = field(default_factory=dict)

    def sends(self, camera_gmac: float) -> Sends:
        """That of the smallest budget that the camera's network fits; masks where there is none."""
        fitting = [budget for budget in self.by_budget_gmac if budget >= camera_gmac]
        return self.by_budget_gmac[min(fitting)] if fitting else Sends.MASKS


def read_frontier(path: Path) -> FrontierVerdicts:
    """Read what `make bench-frontier` wrote.

    Raises:
        RecordError: the file is missing, or is something else.
    """
    if not path.is_file():
        raise RecordError(f"{path} is missing: `make bench-frontier` writes benchmarks/results/frontier.json")
    record = decode_object(path.read_bytes(), what=str(path), most_bytes=_MOST_BYTES)
    try:
        return FrontierVerdicts({_budget(gmac): _SENDS[each["send"]] for gmac, each in record["margins"].items()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{path} is no result of `make bench-frontier`: {error!r}") from None


def _budget(text: str) -> float:
    if not 0 < (gmac := float(text)) < math.inf:
        raise ValueError(f"a budget of {text} GMAC")
    return gmac
