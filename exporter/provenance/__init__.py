"""Turns a finished output folder into proof of what it holds, and where that came from."""
