"""Golden vectors of a model that gives its input back: what an app of tests classifies."""

from dataclasses import replace

import numpy as np
from golden_by_hand import shipped_by_hand
from PIL import Image
from tflite_by_hand import tflite_of

from mbexport.bundles.app import Shipped
from mbexport.golden.vectors import Case, Expected
from mbexport.models.preprocess import Preprocess

PX = 8
SIZES = ((23, 17), (8, 8), (5, 40))
LABELS = tuple(f"class {number}" for number in range(PX * PX * 3))


def shipped_of_images() -> Shipped:
    """A model whose scores are its input's bytes, with golden vectors of three images of noise."""
    shipped = shipped_by_hand(model=tflite_of("uint8", px=PX))
    preprocess = Preprocess(resolution_px=PX)
    artifact = replace(
        shipped.artifact,
        input=replace(shipped.artifact.input, shape=(1, PX, PX, 3)),
        output=replace(shipped.artifact.output, shape=(1, len(LABELS)), tolerance=1.0),
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
    golden = replace(
        shipped.golden, classes=len(LABELS), preprocess=preprocess, artifacts=(artifact,), cases=tuple(cases)
    )
    return replace(shipped, artifact=artifact, labels=LABELS, golden=golden, files=files)
