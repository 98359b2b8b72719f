"""Several dispatcher processes before a sharded Redis: what they carry, and what each part of a large fleet costs."""
