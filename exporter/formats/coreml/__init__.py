"""Core ML packages: made by coremltools, proved here, and run by Apple's systems alone."""
