"""The float network and the images that every quantizer is given.

Run as a script, so that the process that measures never loads TensorFlow:
WEIGHTS ALPHA RESOLUTION CALIBRATION EVALUATION CLASSES GIVEN

GIVEN then holds network.h5, fp32.tflite and fp32.onnx; calibration.npy, float32 (n, px, px, 3), normalized;
evaluation.npy, uint8 (n, px, px, 3), with labels.npy and the float network's scores.npy, float32 (n, classes).
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from mbexport.artifact import OnnxForm, Precision
from mbexport.formats.onnx.convert import onnx_from_tflite
from mbexport.formats.tflite.convert import fp32_tflite
from mbexport.models.data.open import ImageSet, iter_pixels, open_data, open_unlabelled
from mbexport.models.folding import fold_batch_norm
from mbexport.models.keras_import.weights import stored_weights
from mbexport.models.mobilenet_v1.network import build
from mbexport.models.mobilenet_v1.pretrained import FORM
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.models.pretrained import IMAGENET_CLASSES, set_weights
from mbexport.models.resolution import Resolution


def write_network(weights: Path, spec: ModelSpec, given: Path) -> Any:
    """The float network, which is also written in the three forms that quantizers take."""
    network = build(spec)
    set_weights(FORM, network, stored_weights(weights), source=weights, keeps_head=True)
    network.save(given / "network.h5")
    tflite = fp32_tflite(fold_batch_norm(network))
    (given / "fp32.tflite").write_bytes(tflite)
    (given / "fp32.onnx").write_bytes(onnx_from_tflite(tflite, Precision.FP32, OnnxForm(graph_name="mobilenet_v1")))
    return network


def main(arguments: list[str]) -> None:
    """Writes everything."""
    weights, alpha, resolution_px, calibration, evaluation, classes, given = arguments
    folder = Path(given)
    # Evaluation images were cropped before; `mbexport export` has one crop for those and for the calibration images.
    preprocess = Preprocess(resolution=Resolution.square(int(resolution_px)), crop_fraction=1.0)
    spec = ModelSpec(alpha=float(alpha), resolution=Resolution.square(int(resolution_px)), classes=IMAGENET_CLASSES)
    network = write_network(Path(weights), spec, folder)

    def pixels_of(images: ImageSet) -> Pixels:
        return np.concatenate(list(iter_pixels(images, preprocess)))

    np.save(folder / "calibration.npy", preprocess.normalize(pixels_of(open_unlabelled(Path(calibration)).images)))
    images = open_data(evaluation, classes_file=Path(classes)).evaluation(0)
    pixels = pixels_of(images)
    np.save(folder / "evaluation.npy", pixels)
    np.save(folder / "labels.npy", images.labels)
    scores = network.predict(preprocess.normalize(pixels), batch_size=32, verbose=0)
    np.save(folder / "scores.npy", scores)


if __name__ == "__main__":
    main(sys.argv[1:])
