"""``narrows edge --once``: can this camera work, and if not, what is to do?

Each file looks at one thing; ``examine.py`` names the order. Nothing is sent, and nothing stays on disk.
"""

from edge_client.selftest.examine import examine
from narrows.runtime.finding import Finding, Level

__all__ = ["Finding", "Level", "examine"]
