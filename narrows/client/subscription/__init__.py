"""Following a stream's outcomes from Python: ``narrows.subscribe``."""

from narrows.client.subscription.subscription import Outcome, Subscription, parse_entry, subscribe

__all__ = ["Outcome", "Subscription", "parse_entry", "subscribe"]
