"""Golden vectors of detectors: a few photos and the objects that each artifact finds in them."""
