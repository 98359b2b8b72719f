"""A camera behind links that are thin, fade, vanish and lose packets: ours beside every fixed rate level."""
