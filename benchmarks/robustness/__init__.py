"""What bad pictures do to masks read from a bottleneck, beside pictures of as many bits and masks made at a camera."""
