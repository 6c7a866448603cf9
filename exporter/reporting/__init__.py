"""Turns a finished report into what people and programs read."""
