"""Benchmark conversion to int8 .tflite: ours beside the usual one.

Run by `make bench-convert`. Usual: tfmot's quantization-aware network through `TFLiteConverter.from_keras_model`. Ours:
`int8_tflite` of our fake-quantized network. Both start from a Keras network in memory, and take turns in one process,
so that slow moments of the machine hit both; the first round, in which TensorFlow loads the most, is not counted.
"""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot

from mbexport.artifact import Io
from mbexport.calibration.qat.fake_quant import fake_quantize
from mbexport.calibration.ranges.observe import observe
from mbexport.errors import EXIT_BAD_INPUT
from mbexport.formats.tflite.convert import int8_tflite
from mbexport.latency.interleaved import ratio_of_medians
from mbexport.models.folding import fold_batch_norm
from mbexport.models.keras_import.weights import stored_weights
from mbexport.models.mobilenet_v1.network import build
from mbexport.models.mobilenet_v1.pretrained import FORM
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import Preprocess
from mbexport.models.pretrained import IMAGENET_CLASSES, set_weights
from mbexport.models.resolution import Resolution
from mbexport.pipeline.plan import OBSERVER

ROOT: Final = Path(__file__).resolve().parents[2]
ALPHA, RESOLUTION_PX, WEIGHTS = 0.75, 224, "mobilenet_7_5_224_tf.h5"
QUICK_ALPHA, QUICK_RESOLUTION_PX, QUICK_WEIGHTS = 0.25, 128, "mobilenet_2_5_224_tf.h5"
ROUNDS, QUICK_ROUNDS = 7, 1
OURS, USUAL = "ours", "from_keras_model"


def main() -> int:
    """Prints the seconds of both, and their ratio; the exit code is 2 without the shared data."""
    parser = argparse.ArgumentParser(description="How long conversion takes, ours and the usual one.")
    parser.add_argument("--quick", action="store_true", help="a small network, one round")
    is_quick = parser.parse_args().quick
    named = os.environ.get("MBEXPORT_SHARED_DATA")
    stored = (Path(named) if named else ROOT.parent / "shared" / "data") / "weights"
    if not stored.is_dir():
        print("real weights are needed: set MBEXPORT_SHARED_DATA to the folder that holds them", file=sys.stderr)
        return EXIT_BAD_INPUT
    alpha, px, weights = (
        (QUICK_ALPHA, QUICK_RESOLUTION_PX, QUICK_WEIGHTS) if is_quick else (ALPHA, RESOLUTION_PX, WEIGHTS)
    )
    network = float_network(
        stored / weights, ModelSpec(alpha=alpha, resolution=Resolution.square(px), classes=IMAGENET_CLASSES)
    )
    ours, usual = our_network(network), tfmot.quantization.keras.quantize_model(network)
    rounds = QUICK_ROUNDS if is_quick else ROUNDS
    seconds = interleaved({OURS: lambda: int8_tflite(ours, Io.UINT8), USUAL: lambda: converted(usual)}, rounds)
    print(f"MobileNet v1 {alpha:g}/{px} to int8 .tflite, {rounds} interleaved rounds")
    for name, found in seconds.items():
        print(f"  {name:<16} {np.median(found):5.1f} s")
    ratio = ratio_of_medians(seconds, OURS, USUAL)
    print(f"  {OURS} / {USUAL}: x {ratio.ratio:.3f} [{ratio.ci95[0]:.3f}, {ratio.ci95[1]:.3f}]")
    return 0


def float_network(weights: Path, spec: ModelSpec) -> Any:
    """The float network with its stored weights."""
    network = build(spec)
    set_weights(FORM, network, stored_weights(weights), source=weights, keeps_head=True)
    return network


def our_network(network: Any) -> Any:
    """What `int8_tflite` converts: folded and fake-quantized, with ranges of a few random images."""
    folded = fold_batch_norm(network)
    preprocess = Preprocess(resolution=Resolution.square(network.input_shape[1]))
    pixels = np.random.default_rng(0).integers(0, 256, (4, *network.input_shape[1:]), dtype=np.uint8)
    return fake_quantize(
        folded,
        observe(folded, [preprocess.normalize(pixels)], observer=OBSERVER),
        input_scale=preprocess.input_scale,
        input_zero_point=preprocess.input_zero_point,
    )


def converted(quantized: Any) -> bytes:
    """The .tflite of a tfmot network, as its tutorial makes it."""
    converter = tf.lite.TFLiteConverter.from_keras_model(quantized)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for statistics that the network itself holds
        content: bytes = converter.convert()
    return content


def interleaved(conversions: dict[str, Callable[[], bytes]], rounds: int) -> dict[str, Any]:
    """Seconds of each conversion in each round, in a new order each time."""
    rng = np.random.default_rng(0)
    seconds = {name: np.empty(rounds) for name in conversions}
    for number in range(-1, rounds):
        for name in rng.permutation(list(conversions)).tolist():
            start = time.perf_counter()
            conversions[name]()
            if number >= 0:
                seconds[name][number] = time.perf_counter() - start
    return seconds


if __name__ == "__main__":
    sys.exit(main())
