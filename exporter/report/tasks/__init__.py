"""What reports say of each task: a row each for naming an image's class, and for finding the objects in it."""
