"""Replays golden vectors as a stranger would: the files, numpy, Pillow and the runtimes; nothing of mbexport.

    python golden_replay.py FOLDER      the folder that holds the artifacts and golden/

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
    """The number of outputs that were compared."""
    golden = json.loads((folder / "golden" / "golden.json").read_text("utf-8"))
    for artifact in golden["artifacts"]:
        assert hashlib.sha256((folder / artifact["file"]).read_bytes()).hexdigest() == artifact["sha256"]
    compared = 0
    for case in golden["cases"]:
        image = _resized(folder / "golden", case, golden["preprocess"])
        for artifact in golden["artifacts"]:
            expected = case["expected"][artifact["file"]]
            wanted = np.fromfile(folder / "golden" / expected["output"], np.dtype(artifact["output"]["dtype"]))
            assert wanted.shape == (golden["classes"],)
            found = _run(folder / artifact["file"], artifact["input"], _fed(image, artifact["input"]))
            _compare(found, wanted, expected, artifact["output"])
            compared += 1
    return compared


def _resized(folder: Path, case: dict[str, Any], preprocess: dict[str, Any]) -> Any:
    """What is made of the raw bytes; must be what lies beside them."""
    given = "RGBA" if case["raw"].endswith("rgba") else "RGB"
    image = Image.frombytes(given, (case["width"], case["height"]), (folder / case["raw"]).read_bytes())
    image = image.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[preprocess["channels"]])
    sides = str(preprocess["resolution_px"]).split("x")
    height, width = int(sides[0]), int(sides[-1])
    bands = [_cut(band, height, width, preprocess["crop_fraction"]) for band in image.split()]
    narrow = [band.resize((width, band.height), Image.Resampling.BILINEAR) for band in bands]
    made = np.stack([np.asarray(band.resize((width, height), Image.Resampling.BILINEAR)) for band in narrow], axis=-1)
    wanted = (folder / case["resized"]).read_bytes()
    assert made.tobytes() == wanted
    return made


def _cut(image: Image.Image, rows: int, columns: int, fraction: float) -> Image.Image:
    """The central part, as README.md of the vectors has it."""
    width, height = image.size
    if width * rows >= height * columns:
        kept_height = max(1, round(height * fraction))
        kept_width = max(1, round(kept_height * (columns / rows)))
    else:
        kept_width = max(1, round(width * fraction))
        kept_height = max(1, round(kept_width * (rows / columns)))
    left, top = (width - kept_width) // 2, (height - kept_height) // 2
    return image.crop((left, top, left + kept_width, top + kept_height))


def _fed(image: Any, source: dict[str, Any]) -> Any:
    if source["dtype"] == "float32":
        ordered = image[:, :, ::-1] if source["channel_order"] == "BGR" else image
        fed = (ordered.astype(np.float32) - np.float32(source["mean"])) / np.float32(source["std"])
    else:
        fed = image if source["dtype"] == "uint8" else (image.astype(np.int16) - 128).astype(np.int8)
    fed = fed if source["layout"] == "nhwc" else fed.transpose(2, 0, 1)
    batch = np.ascontiguousarray(np.stack([fed] * source["shape"][0]))
    assert batch.shape == tuple(source["shape"])
    return batch


def _run(path: Path, source: dict[str, Any], fed: Any) -> Any:
    """The first row of what the runtime gives."""
    if path.suffix == ".onnx":
        options = onnxruntime.SessionOptions()
        # Without it, x86 processors that have no VNNI saturate sums of products of bytes.
        options.add_session_config_entry("session.x64quantprecision", "1")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return session.run(None, {source["name"]: fed})[0][0]
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], fed)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]


def _compare(found: Any, wanted: Any, expected: dict[str, Any], target: dict[str, Any]) -> None:
    assert found.dtype == target["dtype"]
    assert np.abs(found.astype(np.float64) - wanted).max() <= target["tolerance"]
    assert found.argmax() == wanted.argmax() == expected["top"]
    best = float(wanted[expected["top"]])
    score = best if target["scale"] is None else target["scale"] * (best - target["zero_point"])
    assert abs(score - expected["score"]) < 1e-6 * max(1, abs(score))


if __name__ == "__main__":
    sys.stdout.write(f"{replay(Path(sys.argv[1]))} outputs as expected\n")
