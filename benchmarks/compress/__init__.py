"""What pruning, quantisation and distillation make of a bundle, each alone and combined."""
