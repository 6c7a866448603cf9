"""Fake quantization, and training with it."""
