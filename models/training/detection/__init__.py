"""Training of detectors: batches of images with boxes, what anchors learn of them, the loss, and the schedule."""
