"""Bundles for app developers: an exported model with the code that feeds it and the golden vectors that test it."""
