"""Float networks: architectures and their cost, preprocessing, data sets, training, and the import of Keras models."""
