"""The ranges: which interval each tensor of the network has, and training with that interval in place."""
