"""Calibrate and convert one network in this process, and measure what that takes and how near to float it answers.

Run as a script, so that nothing else is in the process: ARCH WEIGHTS ALPHA RESOLUTION CALIBRATION COUNT EVALUATION
OUT

OUT then holds int8.tflite, figures.json, and answers.npz: the logits of the float network, of the exact integers, and
of these with logits that are not rounded, each float32 (images, classes). EVALUATION is an .npy of uint8 images.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from calibrating.variants import CALIBRATED, varied

from mbexport.artifact import Io
from mbexport.calibration.calibrate import calibrate
from mbexport.calibration.choices import Correction, Observer
from mbexport.calibration.examine.twins import run_in_float, run_in_integers, twins_of
from mbexport.calibration.integers.corrections import Corrections
from mbexport.calibration.qat.fake_quant import fake_quantize, input_range
from mbexport.formats.tflite.convert import int8_tflite
from mbexport.models.architectures import architecture_named
from mbexport.models.data.open import iter_pixels, open_unlabelled
from mbexport.models.folding import fold_batch_norm
from mbexport.models.keras_import.weights import stored_weights
from mbexport.models.preprocess import Preprocess
from mbexport.models.pretrained import IMAGENET_CLASSES, set_weights
from mbexport.models.resolution import Resolution
from mbexport.models.training.pixel_store import open_store
from mbexport.models.training.stream import pixels_of
from mbexport.models.training.train import make_deterministic
from mbexport.models.widening import with_widths

_BATCH = 50


def peak_mb() -> float:
    """VmHWM, not ru_maxrss: that one begins at the size of the process which started this one (Linux, exec_mmap)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


class Clock:
    """Seconds of all cores, and by the clock, since the one before."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def lap(self, name: str) -> None:
        """Note what passed under this name."""
        cpu, wall = time.process_time(), time.perf_counter()
        self.figures |= {f"{name}_cpu_s": cpu - self._cpu, f"{name}_s": wall - self._wall}
        self._cpu, self._wall = cpu, wall


def main(arguments: list[str]) -> None:
    """Calibrates, measures, and then answers."""
    arch, weights, alpha, px, calibration, count, evaluation, out = arguments
    architecture, folder = architecture_named(arch), Path(out)
    assert architecture is not None, arch
    folder.mkdir(parents=True, exist_ok=True)
    preprocess = Preprocess(resolution=Resolution.square(int(px)), crop_fraction=1.0)
    spec = architecture.spec(alpha=float(alpha), resolution=Resolution.square(int(px)), classes=IMAGENET_CLASSES)
    make_deterministic(0)
    network = architecture.build(spec)
    set_weights(architecture.form, network, stored_weights(Path(weights)), source=Path(weights), keeps_head=True)
    folded = fold_batch_norm(network, preprocess=preprocess)
    floor, clock = peak_mb(), Clock()
    images = varied(open_unlabelled(Path(calibration)).images, CALIBRATED, int(count))
    images = images.subset(np.random.default_rng(0).permutation(len(images)))  # classes take turns, as in `build`
    decoded = pixels_of(images, preprocess, open_store(folder, count=len(images), shape=preprocess.shape))

    def inputs() -> Iterator[Any]:
        batches = iter_pixels(images, preprocess, pixels_of=decoded)
        return (preprocess.dequantize(pixels) for pixels in batches)

    for _ in inputs():
        pass
    clock.lap("decode")
    made = calibrate(
        folded, inputs, preprocess, observer=Observer.MINMAX, ranges=None, corrections=Corrections.of(Correction),
        seed=0, on_step=lambda *_: None,
    )  # fmt: skip
    clock.lap("calibrate")
    corrected = made.corrected
    integers = fold_batch_norm(network, preprocess=preprocess)
    integers = with_widths(integers, {name: len(bias) for name, (_, bias) in corrected.weights.items()})
    for name, values in corrected.weights.items():
        integers.get_layer(name).set_weights(values)
    quantized = fake_quantize(
        integers, corrected.ranges, input_scale=preprocess.input_scale, input_zero_point=preprocess.input_zero_point,
        largest=corrected.largest,
    )  # fmt: skip
    clock.lap("quantize")
    (folder / "int8.tflite").write_bytes(int8_tflite(quantized, Io.UINT8))
    clock.lap("convert")
    figures = {**clock.figures, "floor_mb": floor, "peak_mb": peak_mb()}
    (folder / "figures.json").write_text(json.dumps(figures, indent=1))
    print(json.dumps(figures), flush=True)
    twins = twins_of(
        folded, integers,
        entry=input_range(input_scale=preprocess.input_scale, input_zero_point=preprocess.input_zero_point),
        ranges=corrected.ranges, largest=corrected.largest, arrangement=corrected.arrangement,
    )  # fmt: skip
    write_answers(twins, preprocess, np.load(evaluation, mmap_mode="r"), folder)


def write_answers(twins: Any, preprocess: Preprocess, pixels: Any, folder: Path) -> None:
    """Write what both networks make of `pixels`; float's answers are kept beside the folder for the next run."""
    last = twins[-1]

    @tf.function(autograph=False)
    def integers(x: Any) -> Any:
        made, before = None, None
        for _twin, tensor in run_in_integers(twins, x):
            before, made = made, tensor
        raw = last.step.convolve(last.step.prepare(before), *last.integers) * last.multiplier
        return made, raw

    @tf.function(autograph=False)
    def floats(x: Any) -> Any:
        for _, tensor in run_in_float(twins, x):
            made = tensor
        return made

    units = last.units
    known = folder.parent / f"float-{len(pixels)}.npy"
    found: dict[str, list[Any]] = {"float": [], "integers": [], "raw": []}
    for start in range(0, len(pixels), _BATCH):
        x = tf.constant(preprocess.steps(pixels[start : start + _BATCH]))
        for name, values in zip(("integers", "raw"), integers(x), strict=True):
            found[name].append(np.asarray(values * units).reshape(len(values), -1))
        if not known.exists():
            found["float"].append(np.asarray(floats(x) * units).reshape(len(x), -1))
    if found["float"]:
        np.save(known, np.concatenate(found["float"]))
    np.savez(
        folder / "answers.npz", float=np.load(known), integers=np.concatenate(found["integers"]),
        raw=np.concatenate(found["raw"]),
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
