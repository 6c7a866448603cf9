"""Compare classifiers: scores, answers, accuracies, what each class lost, and how a report says it."""
