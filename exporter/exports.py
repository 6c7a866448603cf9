"""Turns the networks that stages left into artifact files of every precision: the half of the stages that converts."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import Precision
from mbexport.handoff import Float, Quantized, Rounded
from mbexport.models.data import ImageSet, iter_pixels
from mbexport.models.folding import fold_batch_norm
from mbexport.models.train import make_deterministic
from mbexport.plan import BuildPlan
from mbexport.stages import (
    Files,
    asked_for,
    chosen_images,
    float_network,
    folded_network,
    largest_of,
    quantized_network,
    ranges_of,
)
from mbexport.tflite_proof import Decided, require_decided_integers
from mbexport.tflite_weights import with_decided_weights
from mbexport.to_onnx import onnx_from_tflite
from mbexport.to_tflite import dynamic_tflite, fp16_tflite, fp32_tflite, int8_tflite, int16x8_tflite


def float_tflite_file(plan: BuildPlan, source: Float, precision: Precision, name: str) -> Files:
    """The .tflite with weights in full or in half precision, called `name`."""
    make_deterministic(plan.seed)
    convert = {Precision.FP32: fp32_tflite, Precision.FP16: fp16_tflite}[precision]
    return {name: convert(asked_for(plan, fold_batch_norm(float_network(source))), batch=plan.batch)}


def int8_tflite_file(plan: BuildPlan, network: Quantized, name: str) -> Files:
    """The int8 .tflite, called `name`."""
    make_deterministic(plan.seed)
    content = int8_tflite(asked_for(plan, quantized_network(network)), plan.io, batch=plan.batch)
    require_decided_integers(content, _decided(network), ranges_of(network))
    return {name: content}


def rounded_tflite_file(plan: BuildPlan, network: Rounded, images: ImageSet, precision: Precision, name: str) -> Files:
    """The .tflite with 8-bit weights and dynamic or 16-bit activations, called `name`."""
    make_deterministic(plan.seed)
    preprocess, folded = network.source.facts.preprocess, asked_for(plan, folded_network(network))

    def inputs() -> Iterator[NDArray[np.float32]]:
        for pixels in iter_pixels(chosen_images(plan, images), preprocess, batch=1):
            yield preprocess.normalize(pixels)

    if precision is Precision.DYNAMIC:
        content = dynamic_tflite(folded, batch=plan.batch)
    else:
        content = int16x8_tflite(folded, inputs(), batch=plan.batch)
    return {name: with_decided_weights(content, _decided(network))}


def onnx_file(tflite: Path, precision: Precision, name: str) -> Files:
    """The .onnx of a .tflite, called `name`."""
    return {name: onnx_from_tflite(tflite.read_bytes(), precision)}


def _decided(network: Quantized | Rounded) -> dict[str, Decided]:
    """Each convolution as the file must hold it, in the order of the network."""
    decided, largest = {}, largest_of(network)
    for layer in folded_network(network).layers:
        if layer.name in largest:
            kernel, bias = layer.get_weights()
            decided[layer.name] = Decided(kernel=kernel, bias=bias, least=largest[layer.name])
    return decided
