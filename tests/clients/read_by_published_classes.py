"""Read a .tflite file's metadata with the classes generated from the published schema.

Runs in MediaPipe's environment, whose wheel holds those classes. Argument: the model. Prints JSON.
"""

import json
import sys
from pathlib import Path

from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata
from mediapipe.tasks.metadata import schema_py_generated as schema

model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(Path(sys.argv[1]).read_bytes(), 0))
(buffer,) = [entry.buffer for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
content = model.buffers[buffer].data.tobytes()
root = metadata.ModelMetadataT.InitFromObj(metadata.ModelMetadata.GetRootAs(content, 0))


def plain(value):
    """The object as JSON's types, without what is not set."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "__dict__"):
        return {name: plain(held) for name, held in vars(value).items() if held is not None}
    return value


json.dump({"identifier": content[4:8].decode(), **plain(root)}, sys.stdout)
