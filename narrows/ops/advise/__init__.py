"""What a camera should send over a link: features or its own masks, at which level or size.

``measure.py`` tries each way on this device, ``link.py`` the link; ``advice.py`` applies the rule by which automatic
cameras choose, and ``frontier.py`` holds what features were measured to be worth at weak cameras.
"""

from narrows.ops.advise.advice import Advice, Margin, Need, advise
from narrows.ops.advise.frontier import FrontierVerdicts, read_frontier
from narrows.ops.advise.link import measured_bytes_per_s
from narrows.ops.advise.measure import Way, measure

__all__ = [
    "Advice",
    "FrontierVerdicts",
    "Margin",
    "Need",
    "Way",
    "advise",
    "measure",
    "measured_bytes_per_s",
    "read_frontier",
]
