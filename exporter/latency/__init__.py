"""Time artifacts so that the times may be compared, and measure the memory that they take."""
