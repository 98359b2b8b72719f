"""Training: a labelled folder and pretrained weights become a run folder with a checkpoint to export."""
