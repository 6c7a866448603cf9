"""Comparison of a quantized network with its float original, tensor by tensor and layer by layer."""
