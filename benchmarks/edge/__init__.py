"""What a camera's program costs: frames a second on one core, memory, installed size."""
