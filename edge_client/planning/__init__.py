"""Which design of a split network, cut and level, the next frame uses: planned from what the camera measures."""
