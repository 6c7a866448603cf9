"""Detectors beside a reference and beside labelled objects: how good they are, and which detections they share."""
