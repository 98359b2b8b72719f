"""Whether a flood, weights and overload are shared out as promised."""
