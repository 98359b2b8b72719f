"""What stands where in the benchmark's bundle."""

from __future__ import annotations

PRECISIONS_BITS = (8, 6, 4, 3)
RAW_LEVEL = 0
OUR_LEVELS = range(1, 1 + len(PRECISIONS_BITS))
PACKED_LEVELS = range(OUR_LEVELS.stop, OUR_LEVELS.stop + len(PRECISIONS_BITS))
CUTS = (
    ("conv2d_11_QuantizeLinear_Output", "hardtanh_32_QuantizeLinear_Output"),
    ("clipped",),
    ("decoder/labels_conv",),
)
"""Of the street network, behind cut 0, which is JPEG to the server. Behind the last only the label map is enlarged."""
JPEG_CUT, DEVICE_ONLY_CUT = 0, len(CUTS)
SIDE_FILE = "profile.json"
"""What rivals know of the device and a manifest does not say."""
