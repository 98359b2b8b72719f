"""The joint decoder on a processor, before and after its graph is rewritten, beside what it replaces."""
