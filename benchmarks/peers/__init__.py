"""Narrows beside what a user would build instead."""
