"""Which bits, which accuracy, at what cost: joint decoding beside what it replaces, one encoder for all."""
