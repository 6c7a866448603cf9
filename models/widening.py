"""Build a network again with other numbers of channels."""

from collections.abc import Mapping, Sequence
from typing import Any

import tf_keras

from mbexport.models.graph import LayerNode, argument, entry_of, layers_of, outputs_of

_layers = tf_keras.layers


def with_widths(model: tf_keras.Model, widths: Mapping[str, int]) -> tf_keras.Model:
    """The network of the same layers whose full convolutions give out `widths` channels, by name.

    The same network if it has them already; else a new one with the weights of its initializers. A depthwise
    convolution has as many channels as what it reads.
    """
    nodes = layers_of(model)
    if all(node.layer.filters == widths.get(node.name, node.layer.filters) for node in nodes if _has_filters(node)):
        return model

    def compute(node: LayerNode, tensors: Sequence[Any]) -> Any:
        config = node.layer.get_config()
        if _has_filters(node):
            config["filters"] = widths.get(node.name, node.layer.filters)
        return type(node.layer).from_config(config)(argument(tensors))

    image = _layers.Input(model.input_shape[1:], name=model.input_names[0])
    made = outputs_of(nodes, {entry_of(nodes): image}, compute)
    return tf_keras.Model(image, argument([made[name] for name in model.output_names]), name=model.name)


def _has_filters(node: LayerNode) -> bool:
    return isinstance(node.layer, _layers.Conv2D) and not isinstance(node.layer, _layers.DepthwiseConv2D)
