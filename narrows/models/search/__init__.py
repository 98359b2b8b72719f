"""Hardware-aware search of networks for weak cameras: what a device takes for them, and which are worth training."""
