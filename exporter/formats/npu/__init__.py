"""Artifacts that are compiled for the NPU of one chip, ahead of time."""
