"""Turns opened artifacts and labelled images into a verdict."""
