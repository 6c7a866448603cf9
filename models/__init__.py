"""The network: what it is, what it costs, how its images are prepared and how it learns."""
