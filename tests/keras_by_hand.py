"""A file with the form of a .keras model and nothing to compute in it, for tests that load no TensorFlow."""

import json
import zipfile
from pathlib import Path


def write_keras(path: Path) -> Path:
    """Writes a .keras file that describes a network without layers."""
    with zipfile.ZipFile(path, "w") as stored:
        stored.writestr("config.json", json.dumps({"class_name": "Functional", "config": {}}))
    return path
