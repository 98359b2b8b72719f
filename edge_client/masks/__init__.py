"""Masks made at the camera: decoder, sections of a packet, the rule that chooses, and the newest mask on site."""
