"""Boxes around objects: geometry, anchors, what a detector's outputs mean, and how good they are; numpy alone."""
