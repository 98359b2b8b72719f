"""Triton alone: two models of its python backend around the decoder, joined by an ensemble."""
