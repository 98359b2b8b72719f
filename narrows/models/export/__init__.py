"""Export: a training's checkpoint becomes a bundle that cameras and Triton can load."""
