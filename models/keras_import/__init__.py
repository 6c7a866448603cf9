"""Import trained Keras models: read their files without running them, as a chain of supported layers."""
