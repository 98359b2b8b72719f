"""Promptable segmentation in the size of an image sensor: data, network, training, evaluation, export."""
