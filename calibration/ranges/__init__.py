"""Activation ranges: how they are observed, chosen and written to a file."""
