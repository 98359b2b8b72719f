"""What the path between Redis and Triton costs, beside a plain loop straight at the same Triton."""
