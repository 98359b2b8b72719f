"""Bundles made smaller: pruned, trained as int8, taught by what they were."""
