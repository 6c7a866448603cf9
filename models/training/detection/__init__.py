"""Training of detectors: batches of images with boxes."""
