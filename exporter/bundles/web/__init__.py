"""The web bundle: an npm package with the model, the code that calls it, its tests and a demo page."""
