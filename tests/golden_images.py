"""Golden vectors of a model that returns its input, for tests in which an app classifies images."""

from dataclasses import replace

import numpy as np
from golden_by_hand import app_model_by_hand
from PIL import Image
from tflite_by_hand import tflite_of

from mbexport.bundles.app_model import AppModel
from mbexport.golden.vectors import Case, Expected
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

PX = 8
SIZES = ((23, 17), (8, 8), (5, 40))
LABELS = tuple(f"class {number}" for number in range(PX * PX * 3))


def app_model_of_images() -> AppModel:
    """A model whose scores are its input's bytes, with golden vectors of three images of noise."""
    app = app_model_by_hand(model=tflite_of("uint8", px=PX))
    preprocess = Preprocess(resolution=Resolution.square(PX))
    artifact = replace(
        app.artifact,
        input=replace(app.artifact.input, shape=(1, PX, PX, 3)),
        output=replace(app.artifact.output, shape=(1, len(LABELS)), tolerance=1.0),
    )
    files, cases = {}, []
    for number, (width, height) in enumerate(SIZES):
        raw = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
        resized = preprocess.pixels(Image.fromarray(raw))
        top = int(resized.argmax())
        names = {name: f"case_{number}/{name}" for name in ("raw.rgb", "resized.rgb", "out")}
        files.update(zip(names.values(), (raw.tobytes(), resized.tobytes(), resized.tobytes()), strict=True))
        answer = Expected(output=names["out"], top=top, label=LABELS[top], score=float(resized.max()) / 256)
        cases.append(
            Case(
                name=f"case_{number}",
                width=width,
                height=height,
                raw=names["raw.rgb"],
                resized=names["resized.rgb"],
                truth=None,
                expected={artifact.file: answer},
            )
        )
    golden = replace(app.golden, classes=len(LABELS), preprocess=preprocess, artifacts=(artifact,), cases=tuple(cases))
    return replace(app, artifact=artifact, labels=LABELS, golden=golden, golden_files=files)
