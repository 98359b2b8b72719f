"""Things that an operator points at: outlined by a small network, followed from frame to frame, told of by name."""
