"""What a camera should send over a link: features or its own masks, at which level or size.

``measure.py`` tries each way on this device; ``advice.py`` applies the rule by which automatic cameras choose.
"""

from narrows.ops.advise.advice import Advice, Need, advise
from narrows.ops.advise.measure import Way, measure

__all__ = ["Advice", "Need", "Way", "advise", "measure"]
