"""Build a family of networks, a process each, on this machine or on a cluster, and choose among them."""
