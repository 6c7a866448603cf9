"""Write random weights for an architecture whose activations spread as a trained network's do.

Run as a script, so that the process that measures never loads TensorFlow: ARCH ALPHA RESOLUTION
CALIBRATION WEIGHTS

How fast integer kernels are does not depend on values, but calibration wants ranges to find: batch normalization is
given the statistics of real images, gains and offsets that differ by channel, and the head is scaled until it prefers
one class to others.
"""

import sys
from pathlib import Path

import numpy as np
import tf_keras

from mbexport.models.architectures import architecture_named
from mbexport.models.data.open import iter_pixels, open_unlabelled
from mbexport.models.preprocess import Preprocess
from mbexport.models.pretrained import IMAGENET_CLASSES
from mbexport.models.resolution import Resolution

_IMAGES = 32
_LOGIT_DEVIATION = 3.0  # about that of the published networks on photos


def main(arguments: list[str]) -> None:
    """Writes the file."""
    arch, alpha, resolution_px, calibration, weights = arguments
    architecture = architecture_named(arch)
    assert architecture is not None, arch
    resolution = Resolution.square(int(resolution_px))
    preprocess = Preprocess(resolution=resolution, crop_fraction=1.0)
    images = open_unlabelled(Path(calibration)).images
    few = images.subset(np.linspace(0, len(images) - 1, min(_IMAGES, len(images)), dtype=np.int64))
    inputs = preprocess.normalize(np.concatenate(list(iter_pixels(few, preprocess))))
    tf_keras.utils.set_random_seed(0)
    spec = architecture.spec(
        alpha=float(alpha), resolution=Resolution.square(int(resolution_px)), classes=IMAGENET_CLASSES
    )
    network = architecture.build(spec, batch_norm_momentum=0.0)  # the statistics are those of the last batch
    _normalize(network, inputs)
    head = network.get_layer(architecture.form.head)
    logits = tf_keras.Model(network.input, head.output).predict(inputs, verbose=0)
    kernel, *rest = head.get_weights()
    head.set_weights([kernel * (_LOGIT_DEVIATION / logits.std()), *rest])
    network.save_weights(weights)


def _normalize(network: tf_keras.Model, inputs: np.ndarray) -> None:
    """Draws the gains and offsets of batch normalization, and sets its statistics to those of `inputs`."""
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            _, _, mean, variance = layer.get_weights()
            channels = len(mean)
            layer.set_weights([rng.uniform(0.5, 1.5, channels), rng.normal(0.5, 0.5, channels), mean, variance])
    network(inputs, training=True)


if __name__ == "__main__":
    main(sys.argv[1:])
