"""Describe a float network as `Facts`, and build it again from its facts and its weights."""

import math
from pathlib import Path
from typing import Any

import tf_keras

from mbexport.models.architectures import architecture_of
from mbexport.models.facts import Facts, Output
from mbexport.models.folding import is_convolution
from mbexport.models.preprocess import Preprocess
from mbexport.models.spec import NetworkSpec
from mbexport.models.stored_network import network_from_json, network_to_json
from mbexport.models.weights import load_weights


def facts_of_spec(model: tf_keras.Model, spec: NetworkSpec, preprocess: Preprocess) -> Facts:
    """The facts on a network that the architecture of `spec` built."""
    architecture = architecture_of(spec)
    total = architecture.cost(spec)
    return Facts(
        preprocess=preprocess,
        classes=spec.classes,
        output=Output.SOFTMAX,
        alpha=spec.alpha,
        family=architecture.name,
        mult_adds=total.mult_adds,
        parameters=total.parameters,
        architecture=network_to_json(model),
    )


def facts_of_network(model: tf_keras.Model, preprocess: Preprocess, output: Output) -> Facts:
    """The facts on a network that was made elsewhere: its width and family are not known."""
    return Facts(
        preprocess=preprocess,
        classes=int(model.output_shape[-1]),
        output=output,
        alpha=None,
        mult_adds=sum(_mult_adds(layer) for layer in model.layers if is_convolution(layer)),
        parameters=int(model.count_params()),
        architecture=network_to_json(model),
    )


def build_network(facts: Facts) -> tf_keras.Model:
    """The network of `facts`, with the weights of its initializers. Raises `DataError` if its layers are not ours."""
    return network_from_json(facts.architecture)


def load_network(facts: Facts, weights: Path) -> tf_keras.Model:
    """The network of `facts` with the weights of the .npz at `weights`. Raises `DataError` if they do not fit."""
    model = build_network(facts)
    load_weights(model, weights)
    return model


def _mult_adds(layer: Any) -> int:
    """The mult-adds of a convolution for one image: one for each weight of the kernel and pixel of the output."""
    return math.prod((*layer.weights[0].shape, *layer.output_shape[1:3]))
