"""How many questions one packet answers: features read by heads beside a mask for each, made at the camera."""
