"""Post-training quantization and quantization-aware training: from a float network to the integers of its artifacts."""
