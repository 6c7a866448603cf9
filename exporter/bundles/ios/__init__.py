"""The iOS bundle: a Swift package that is a pod, too."""
