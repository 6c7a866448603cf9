"""Images with boxes around their objects: the formats that hold them, what is wrong with a box, and data sets."""
