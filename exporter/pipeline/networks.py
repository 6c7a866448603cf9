"""Load the Keras networks that stages left. Loads TensorFlow, so only the work of stages imports it."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.artifact import Precision
from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.calibration.qat.fake_quant import LargestWeights, fake_quantize
from mbexport.calibration.ranges.range_file import Ranges, ranges_from_json
from mbexport.calibration.samples import balanced_samples
from mbexport.formats.tflite.integers import Decided
from mbexport.models.data.imageset import ImageSet, iter_pixels
from mbexport.models.facts import Facts
from mbexport.models.folding import fold_batch_norm, without_probabilities
from mbexport.models.keras_import.agreement import Source
from mbexport.models.network import build_network, load_network
from mbexport.models.preprocess import NORMALIZATIONS, Pixels, Preprocess
from mbexport.models.task import Task
from mbexport.models.weights import arrays_from_bytes, load_weights
from mbexport.models.widening import with_widths
from mbexport.pipeline.context import Context
from mbexport.pipeline.plan import BuildPlan, Foreign
from mbexport.pipeline.stage_files import INPUT, Float, Quantized, Rounded

FLOATS: Final = (Precision.FP32, Precision.FP16)


def float_network(source: Float) -> tf_keras.Model:
    """The float network as it was trained, with batch normalization."""
    return load_network(source.facts, source.weights)


def with_wanted_output(plan: BuildPlan, network: tf_keras.Model) -> tf_keras.Model:
    """The network with the output that the plan's artifacts have: with `logits`, without its softmax or sigmoid."""
    return without_probabilities(network) if plan.logits else network


def source_of(run: Context) -> Source:
    """The user's model, of a run that imports one."""
    origin = run.plan.origin
    assert isinstance(origin, Foreign)
    is_detector = origin.task is Task.DETECT
    return Source(path=origin.model, resolution=origin.resolution, trust=origin.trust, is_detector=is_detector)


def fed_to_source(run: Context) -> Preprocess:
    """How images become the input of the user's model: what the import has taken out of it comes later."""
    assumed = run.read(INPUT)["assumed"]
    normalization = run.plan.normalization or NORMALIZATIONS[assumed]
    return replace(run.float.facts.preprocess, normalization=normalization)


def reference_scores(run: Context) -> Callable[[Pixels], NDArray[np.float32]]:
    """What artifacts are held against: our own float network, or the user's model as its library computes it.

    The function takes uint8 images (n, h, w, channels) and gives (n, classes), in the form that the plan asks for.
    """
    plan = run.plan
    if isinstance(plan.origin, Foreign):
        original, given = source_of(run).original(logits=plan.logits), fed_to_source(run)
        return lambda pixels: original(given.normalize(pixels))
    network, preprocess = with_wanted_output(plan, float_network(run.float)), run.float.facts.preprocess
    return lambda pixels: network.predict_on_batch(preprocess.normalize(pixels))


def reference_heads(run: Context) -> Callable[[Pixels], list[NDArray[np.float32]]]:
    """The same of a detector: uint8 images to the codes and logits of each map, in the order of its network."""
    if isinstance(run.plan.origin, Foreign):
        original, given = source_of(run).original(), fed_to_source(run)
        return lambda pixels: original.heads(given.normalize(pixels))
    network, preprocess = float_network(run.float), run.float.facts.preprocess
    return lambda pixels: network.predict_on_batch(preprocess.normalize(pixels))


def folded_network(network: Quantized | Rounded) -> tf_keras.Model:
    """The network without batch normalization, with the weights that the stage left."""
    widths = {name: len(largest) for name, largest in largest_of(network).items()}
    folded = with_widths(fold_batch_norm(build_network(network.source.facts)), widths)
    load_weights(folded, network.weights)
    return folded


def quantized_network(network: Quantized, *, kept: Collection[str] = ()) -> tf_keras.Model:
    """The fake-quantized network, in which the weights of the convolutions `kept` are not rounded."""
    preprocess = network.source.facts.preprocess
    return fake_quantize(
        folded_network(network),
        ranges_of(network),
        input_scale=preprocess.input_scale,
        input_zero_point=preprocess.input_zero_point,
        largest=largest_of(network),
        kept=kept,
    )


def detector_measure(facts: Facts) -> DetectorMeasure | None:
    """How a detector's answers are compared with float's; None of a classifier."""
    detector = facts.detector
    if detector is None:
        return None
    return DetectorMeasure(heads=detector.heads, least_score=detector.settings.score_threshold)


def largest_of(network: Quantized | Rounded) -> LargestWeights:
    """The largest magnitude of each convolution's weights, by channel: what decides their scales."""
    return arrays_from_bytes(network.largest.read_bytes(), source=str(network.largest))


def ranges_of(network: Quantized) -> Ranges:
    """The calibrated range of each activation tensor."""
    return ranges_from_json(network.ranges.read_bytes(), source=network.ranges)


def kept_of(network: Quantized) -> tuple[str, ...]:
    """The convolutions that int8 artifacts have in float, in the order of the network."""
    found = json.loads(network.calibration.read_bytes())
    return tuple(str(row["layer"]) for row in found["in_float"])


def calibration_images(plan: BuildPlan, images: ImageSet) -> ImageSet:
    """Those of `images` that the plan calibrates on."""
    return images.subset(balanced_samples(images.labels, plan.calibration_samples, seed=plan.seed))


class StoredNetworks:
    """The networks behind the artifacts of one precision, for a converter (`formats.file_format.Networks`)."""

    def __init__(self, run: Context, precision: Precision, *, keeps_floats: bool = True) -> None:
        self._run, self._precision, self._keeps_floats = run, precision, keeps_floats

    def network(self) -> tf_keras.Model:
        """Float weights for fp32 and fp16, fake quantization for int8, rounded weights for what remains."""
        if self._precision in FLOATS:
            network = fold_batch_norm(float_network(self._run.float))
        elif self._precision is Precision.INT8:
            network = quantized_network(self._run.quantized)
        else:
            network = folded_network(self._run.rounded)
        return with_wanted_output(self._run.plan, network)

    def decided(self) -> Mapping[str, Decided]:
        """Each convolution as the file must hold it, in the order of the network."""
        stored = self._run.quantized if self._precision is Precision.INT8 else self._run.rounded
        decided, largest = {}, largest_of(stored)
        for layer in folded_network(stored).layers:
            if layer.name in largest:
                kernel, bias = layer.get_weights()
                decided[layer.name] = Decided(kernel=kernel, bias=bias, least=largest[layer.name])
        return decided

    def kept(self) -> tuple[str, ...]:
        """The convolutions that an int8 file has in float; `network` has them rounded."""
        return kept_of(self._run.quantized) if self._keeps_floats and self._precision is Precision.INT8 else ()

    def ranges(self) -> Ranges:
        """The calibrated range of each activation tensor, of an int8 network."""
        return ranges_of(self._run.quantized)

    def inputs(self) -> Iterator[NDArray[np.float32]]:
        """The calibration images as normalized batches of one."""
        preprocess = self._run.float.facts.preprocess
        chosen = calibration_images(self._run.plan, self._run.images.calibration)
        for pixels in iter_pixels(chosen, preprocess, batch=1):
            yield preprocess.normalize(pixels)
