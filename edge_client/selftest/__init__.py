"""``narrows edge --once``: can this camera work, and if not, what is to do?

Each file looks at one thing; ``examine.py`` names the order. Nothing is sent, and nothing stays on disk.
"""

from edge_client.selftest.check import Check, Level
from edge_client.selftest.examine import examine

__all__ = ["Check", "Level", "examine"]
