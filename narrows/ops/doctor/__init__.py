"""What is wrong with this machine or this stack, and what to do.

Each file looks at one thing: it gathers facts, and pure functions judge them. ``examine.py`` names the order. Nothing
here writes to Redis. ``machine.py`` needs nothing but Python: set-up runs it before anything is installed.
"""
