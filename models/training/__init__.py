"""Train float networks, from scratch or from weights, so that an interrupted run ends like any other."""
