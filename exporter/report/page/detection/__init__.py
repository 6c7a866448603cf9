"""What the page of a detector has of its own: precision, photos with boxes, tails and anchors, its training."""
