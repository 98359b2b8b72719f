"""Where a network is split while link and cloud change: our planner beside its rivals."""
