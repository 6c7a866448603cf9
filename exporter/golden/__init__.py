"""Golden vectors: a few images and each artifact's outputs for them, for the unit tests of apps."""
