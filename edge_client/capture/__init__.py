"""Where frames come from: sources, their watch, the pace."""
