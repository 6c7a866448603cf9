"""Keras models, which are compared with and never exported."""
