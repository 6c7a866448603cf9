"""Add the gradients that come from several readers of a tensor in one order, so that a training repeats to the byte.

TensorFlow adds three and more tensors in the order in which they are ready, where it expects that this saves memory
(`SchedulingPass` of tensorflow/core/grappler/optimizers/memory_optimizer.cc), deterministic operations or not. Two have
the same sum in either order.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import tensorflow as tf
import tf_keras

from mbexport.models.graph import LayerNode, entry_of, layers_of, outputs_of

_MOST_READERS: Final = 2


def with_ordered_sums(model: tf_keras.Model) -> tf_keras.Model:
    """A network of the same layers, and weights, whose gradients do not depend on which reader was the first.

    Outputs are the same. It is `model` itself where no tensor has more than two readers.
    """
    nodes = layers_of(model)
    readers = Counter(name for node in nodes for name in node.inputs)
    readers.update(node.name for node in nodes if node.is_output)
    del readers[entry_of(nodes)]  # nobody asks for the gradient of the image
    shared = {name: count for name, count in readers.items() if count > _MOST_READERS}
    if not shared:
        return model
    copies: dict[str, Iterator[Any]] = {}

    def one_of(name: str, tensor: Any) -> Any:
        if name not in shared:
            return tensor
        if name not in copies:
            copies[name] = iter(_Copies(shared[name], name=f"{name}_copies")(tensor))
        return next(copies[name])

    def compute(node: LayerNode, tensors: Sequence[Any]) -> Any:
        return node.apply([one_of(*each) for each in zip(node.inputs, tensors, strict=True)])

    made = outputs_of(nodes, {entry_of(nodes): model.input}, compute)
    outputs = [one_of(name, made[name]) for name in model.output_names]
    return tf_keras.Model(model.input, outputs if len(outputs) > 1 else outputs[0], name=model.name)


class _Copies(tf_keras.layers.Layer):  # type: ignore[misc]  # tf_keras publishes no types
    """Give `count` readers a copy each of a tensor, and add their gradients in this order."""

    def __init__(self, count: int, **options: Any) -> None:
        super().__init__(**options)
        self._count = count

    def call(self, x: Any) -> list[Any]:
        """The copies."""

        @tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow publishes no types
        def copied(tensor: Any) -> Any:
            def added(*gradients: Any) -> Any:
                return tf.reduce_sum(tf.stack(gradients), axis=0)  # a sum of two and two would be made one of all

            return [tf.identity(tensor) for _ in range(self._count)], added

        return list(copied(x))
