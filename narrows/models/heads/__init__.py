"""Heads of a bundle: trained on its frozen encoder, joined with its decoder into the one graph that Triton runs."""
