"""Anybody's trained Keras model: read from its file without running it, as one chain of the layers we know."""
