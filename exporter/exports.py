"""Turns the networks that stages left into artifact files of every precision: the half of the stages that converts."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import Precision, Target
from mbexport.description import Description, onnx_properties
from mbexport.fingerprint import library_versions
from mbexport.handoff import Float, Quantized, Rounded
from mbexport.models.data import ImageSet, iter_pixels
from mbexport.models.facts import Facts, Output
from mbexport.models.folding import fold_batch_norm
from mbexport.models.train import make_deterministic
from mbexport.onnx_form import OnnxForm
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
from mbexport.tflite_metadata import input_of, with_metadata
from mbexport.tflite_proof import Decided, require_decided_integers
from mbexport.tflite_weights import with_decided_weights
from mbexport.to_onnx import onnx_from_tflite
from mbexport.to_tflite import dynamic_tflite, fp16_tflite, fp32_tflite, int8_tflite, int16x8_tflite


def float_tflite_file(plan: BuildPlan, source: Float, target: Target) -> Files:
    """The .tflite with weights in full or in half precision."""
    make_deterministic(plan.seed)
    convert = {Precision.FP32: fp32_tflite, Precision.FP16: fp16_tflite}[target.precision]
    content = convert(asked_for(plan, fold_batch_norm(float_network(source))), batch=plan.batch)
    return {target.name: with_metadata(content, described(plan, source.facts, target))}


def int8_tflite_file(plan: BuildPlan, network: Quantized, target: Target) -> Files:
    """The int8 .tflite."""
    make_deterministic(plan.seed)
    content = int8_tflite(asked_for(plan, quantized_network(network)), plan.io, batch=plan.batch)
    content = with_metadata(content, described(plan, network.source.facts, target))
    require_decided_integers(content, _decided(network), ranges_of(network))
    return {target.name: content}


def rounded_tflite_file(plan: BuildPlan, network: Rounded, images: ImageSet, target: Target) -> Files:
    """The .tflite with 8-bit weights and dynamic or 16-bit activations."""
    make_deterministic(plan.seed)
    facts, folded = network.source.facts, asked_for(plan, folded_network(network))

    def inputs() -> Iterator[NDArray[np.float32]]:
        for pixels in iter_pixels(chosen_images(plan, images), facts.preprocess, batch=1):
            yield facts.preprocess.normalize(pixels)

    if target.precision is Precision.DYNAMIC:
        content = dynamic_tflite(folded, batch=plan.batch)
    else:
        content = int16x8_tflite(folded, inputs(), batch=plan.batch)
    content = with_decided_weights(content, _decided(network))
    return {target.name: with_metadata(content, described(plan, facts, target))}


def onnx_file(plan: BuildPlan, source: Float, tflite: Path, target: Target) -> Files:
    """The .onnx of the network of `source`, made from a .tflite."""
    content = tflite.read_bytes()
    description = described(plan, source.facts, target).as_fed_to(input_of(content))
    form = OnnxForm(
        layout=plan.layout,
        opset=plan.opset,
        properties=onnx_properties(description, layout=plan.layout.value.upper(), versions=library_versions()),
    )
    return {target.name: onnx_from_tflite(content, target.precision, form)}


def described(plan: BuildPlan, facts: Facts, target: Target) -> Description:
    """What an artifact says of itself in words."""
    preprocess, normalization = facts.preprocess, facts.preprocess.normalization
    width = "" if facts.alpha is None else f", alpha {facts.alpha:g}"
    return Description(
        name=plan.name,
        text=f"MobileNet v1{width}, {preprocess.resolution_px} px, {facts.classes} classes, {target.precision.value}.",
        labels=target.labels,
        px=preprocess.resolution_px,
        channels=preprocess.channels,
        mean=normalization.mean,
        std=normalization.std,
        is_bgr=normalization.is_bgr,
        output=Output.LOGITS if plan.logits else facts.output,
        licence=plan.licence,
    )


def _decided(network: Quantized | Rounded) -> dict[str, Decided]:
    """Each convolution as the file must hold it, in the order of the network."""
    decided, largest = {}, largest_of(network)
    for layer in folded_network(network).layers:
        if layer.name in largest:
            kernel, bias = layer.get_weights()
            decided[layer.name] = Decided(kernel=kernel, bias=bias, least=largest[layer.name])
    return decided
