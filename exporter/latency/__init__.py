"""Turns opened artifacts into times and bytes that may be compared."""
