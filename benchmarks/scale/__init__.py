"""Whether capacity follows the cameras: the real stack from one stream to many and back."""
