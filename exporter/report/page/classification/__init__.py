"""What the page of a classifier has of its own: accuracy, errors of scores, answers that differ."""
