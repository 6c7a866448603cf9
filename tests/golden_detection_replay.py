"""Replays a detector's golden vectors as a stranger would: the files, numpy, Pillow and the runtimes, no mbexport.

    python golden_detection_replay.py FOLDER      the folder that holds the artifacts and golden/

Prints what was compared; raises where something is not as golden.json says.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from PIL import Image


def replay(folder: Path) -> int:
    """The number of answers that were compared."""
    golden = json.loads((folder / "golden" / "golden.json").read_text("utf-8"))
    assert (golden["task"], golden["preprocess"]["stretched"]) == ("detect", True)
    compared = 0
    for artifact in golden["artifacts"]:
        path = folder / artifact["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == artifact["sha256"]
        for case in golden["cases"]:
            image = _resized(folder / "golden", case, golden["preprocess"])
            found = _run(path, artifact["input"], _fed(image, artifact["input"]))
            rows = case["expected"][artifact["file"]]["rows"]
            _compare(found, rows, artifact["tolerance"], golden["least_score"])
            _in_pixels(rows, case["width"], case["height"])
            compared += 1
    return compared


def _resized(folder: Path, case: dict[str, Any], preprocess: dict[str, Any]) -> Any:
    """What is made of the raw bytes; must be what lies beside them."""
    given = "RGBA" if case["raw"].endswith("rgba") else "RGB"
    image = Image.frombytes(given, (case["width"], case["height"]), (folder / case["raw"]).read_bytes())
    image = image.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[preprocess["channels"]])
    sides = str(preprocess["resolution_px"]).split("x")
    height, width = int(sides[0]), int(sides[-1])
    narrow = [band.resize((width, band.height), Image.Resampling.BILINEAR) for band in image.split()]
    made = np.stack([np.asarray(band.resize((width, height), Image.Resampling.BILINEAR)) for band in narrow], axis=-1)
    assert made.tobytes() == (folder / case["resized"]).read_bytes()
    assert hashlib.sha256(made.tobytes()).hexdigest() == case["sha256"]
    return made


def _fed(image: Any, source: dict[str, Any]) -> Any:
    if source["dtype"] == "float32":
        ordered = image[:, :, ::-1] if source["channel_order"] == "BGR" else image
        fed = (ordered.astype(np.float32) - np.float32(source["mean"])) / np.float32(source["std"])
    else:
        fed = image if source["dtype"] == "uint8" else (image.astype(np.int16) - 128).astype(np.int8)
    fed = fed if source["layout"] == "nhwc" else fed.transpose(2, 0, 1)
    return np.ascontiguousarray(fed[None])


def _run(path: Path, source: dict[str, Any], fed: Any) -> list[tuple[int, float, list[float]]]:
    """Class, score and corners of each row that counts."""
    if path.suffix == ".onnx":
        options = onnxruntime.SessionOptions()
        # Without it, x86 processors that have no VNNI saturate sums of products of bytes.
        options.add_session_config_entry("session.x64quantprecision", "1")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_outputs()]
        outputs = dict(zip(names, session.run(None, {source["name"]: fed}), strict=True))
    else:
        interpreter = Interpreter(str(path))
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], fed)
        interpreter.invoke()
        outputs = {each["name"]: interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()}
    count = int(outputs["number of detections"][0])
    classes, scores, corners = (outputs[name][0, :count].tolist() for name in ("category", "score", "location"))
    return list(zip(map(int, classes), scores, corners, strict=True))


def _compare(found: Any, rows: list[dict[str, Any]], tolerance: dict[str, float], least: float) -> None:
    for row in rows:
        is_met = any(
            index == row["class"]
            and abs(score - row["score"]) <= tolerance["score"]
            and np.abs(np.subtract(corners, row["box"])).max() <= tolerance["corner"]
            for index, score, corners in found
        )
        assert is_met or not row["safe"]
    for index, score, corners in found:
        if score >= least + tolerance["score"]:
            assert any(index == row["class"] and _share(corners, row["box"]) >= 0.5 for row in rows)


def _share(a: list[float], b: list[float]) -> float:
    """What two boxes have in common, of all that they cover."""
    height, width = (max(0.0, min(a[at + 2], b[at + 2]) - max(a[at], b[at])) for at in (0, 1))
    both = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return height * width / (both - height * width)


def _in_pixels(rows: list[dict[str, Any]], width: int, height: int) -> None:
    for row in rows:
        ymin, xmin, ymax, xmax = row["box"]
        assert np.allclose(row["pixels"], [xmin * width, ymin * height, xmax * width, ymax * height])


if __name__ == "__main__":
    sys.stdout.write(f"{replay(Path(sys.argv[1]))} answers as expected\n")
