"""The coder of label maps beside its rivals: ``make bench-labels``."""
