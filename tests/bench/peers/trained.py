"""A trained network and the images of its task, as quantizers are given them; `floats.py` does it for ImageNet's.

Run as a script: BUILD DATA ZOOMS MIRRORED GIVEN, where BUILD is the folder of a finished `mbexport build` on DATA.

GIVEN then holds what `floats.py` writes. evaluation.npy begins with the test images, to which labels.npy belongs;
zoomed and, with MIRRORED 1, mirrored copies of them follow, so that agreement is known to a few tenths of a percent.
"""

import sys
from pathlib import Path

import numpy as np
from copies import with_copies
from stored import save, trained_network

from mbexport.artifact import OnnxForm, Precision
from mbexport.calibration.samples import balanced_samples
from mbexport.formats.onnx.convert import onnx_from_tflite
from mbexport.formats.tflite.convert import fp32_tflite
from mbexport.models.data.open import iter_pixels, open_data
from mbexport.models.folding import fold_batch_norm
from mbexport.pipeline.plan import CALIBRATION_SAMPLES

_SEED = 0  # as `mbexport` splits its data and draws calibration images if nobody says


def main(arguments: list[str]) -> None:
    """Write everything."""
    built, data, zooms, mirrored, given = arguments
    source, folder = trained_network(Path(built)), Path(given)
    network, facts = save(source, folder), source.facts
    preprocess = facts.preprocess
    tflite = fp32_tflite(fold_batch_norm(network))
    (folder / "fp32.tflite").write_bytes(tflite)
    form = OnnxForm(graph_name=str(facts.family))
    (folder / "fp32.onnx").write_bytes(onnx_from_tflite(tflite, Precision.FP32, form))
    train, test = open_data(data).split(_SEED)
    chosen = train.subset(balanced_samples(train.labels, CALIBRATION_SAMPLES, seed=_SEED))
    np.save(folder / "calibration.npy", preprocess.normalize(np.concatenate(list(iter_pixels(chosen, preprocess)))))
    originals = np.concatenate(list(iter_pixels(test, preprocess)))
    pixels = with_copies(originals, [float(zoom) for zoom in zooms.split(",")], is_mirrored=mirrored == "1")
    np.save(folder / "evaluation.npy", pixels)
    np.save(folder / "labels.npy", test.labels)
    scores = [network.predict_on_batch(preprocess.normalize(pixels[i : i + 32])) for i in range(0, len(pixels), 32)]
    np.save(folder / "scores.npy", np.concatenate(scores))


if __name__ == "__main__":
    main(sys.argv[1:])
