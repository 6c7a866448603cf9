"""Post-training corrections: how channels are stored, weights rounded and biases set, layer by layer."""
