"""Quantization-aware training: distil the float network into a calibrated one, whose codes and ranges stay."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import activation_affine
from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.calibration.qat.detector_objective import DetectorObjective, with_joined_heads
from mbexport.calibration.qat.fake_quant import LargestWeights, fake_quantize, float_weights, input_range, round_biases
from mbexport.calibration.ranges.range_file import Ranges
from mbexport.errors import DataError
from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.facts import Output
from mbexport.models.folding import gives_probabilities
from mbexport.models.preprocess import Preprocess
from mbexport.models.training.classification import ClassObjective
from mbexport.models.training.fit import OnStep, Phase, Session, fit
from mbexport.models.training.objective import Evaluation, Objective
from mbexport.models.training.stream import TrainSettings, steps_per_epoch
from mbexport.models.training.train import make_deterministic

_MOST_MORE_CLIPPED: Final = 0.01  # of a tensor's values
_LEAST_USED: Final = 0.5  # of a range: below it one of the eight bits says nothing
_HELD_OUT: Final = 5  # every fifth image
_MOST_HELD_OUT: Final = 256
_LEAST_IMAGES: Final = 2  # one to learn from, one to judge by
_JUDGEMENTS: Final = 5  # at least, in a training that is long enough for it
# In nats. Of less, training was never seen to take more than 6 % away (decision 0013), while the divergence of equally
# good networks on 256 images differs by as much.
SETTLED: Final = 0.01
# The divergence of a detector is that of each box that float shows, before neighbours are left out: about ten of them
# are one object.
_BOXES_OF_AN_OBJECT: Final = 10
_LEARNING_RATE: Final = 1e-5  # weights only have to find the nearest grid point that works
_PROBE_BATCH: Final = 8  # every rectified tensor of a batch is held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeUse:
    """How a tensor uses its range: the share of its values, from 0 to 1, that is cut off, and how far up they reach.

    `reach` is the largest value as a share of the range's upper end, above 1 where it is cut off.
    """

    clipped: float
    reach: float


def range_uses(
    quantized: tf_keras.Model, ranges: Ranges, batches: Iterable[NDArray[np.float32]]
) -> dict[str, RangeUse]:
    """Measure how each rectified tensor uses its range, over batches (n, px, px, channels) of the network's input.

    A ReLU's values are taken before they are rounded; those that rounding brings back to the range's upper end are not
    cut off.
    """
    rectified = {
        layer.layer.name: layer
        for layer in quantized.layers
        if isinstance(getattr(layer, "layer", None), tf_keras.layers.ReLU)
    }
    if not rectified:
        return {}
    probe = tf_keras.Model(quantized.input, [_unrounded(layer) for layer in rectified.values()])
    clipped, count, peaks = (dict.fromkeys(rectified, 0.0) for _ in range(3))
    for batch in batches:
        outputs = probe.predict_on_batch(batch)
        for site, values in zip(rectified, outputs if len(rectified) > 1 else [outputs], strict=True):
            end = ranges[site].high + activation_affine(ranges[site]).scale[0] / 2
            clipped[site] += float((values > end).sum())
            count[site] += values.size
            peaks[site] = max(peaks[site], float(values.max()))
    return {
        site: RangeUse(clipped=clipped[site] / max(count[site], 1), reach=peaks[site] / ranges[site].high)
        for site in rectified
    }


def unsettled(before: Mapping[str, RangeUse], after: Mapping[str, RangeUse]) -> tuple[str, ...]:
    """The tensors that training moved away from their ranges: much more is cut off, or they fell below half of it."""
    return tuple(
        site
        for site, now in after.items()
        if now.clipped > before[site].clipped + _MOST_MORE_CLIPPED or now.reach < _LEAST_USED <= before[site].reach
    )


def _unrounded(wrapper: Any) -> Any:
    return type(wrapper.layer).from_config(wrapper.layer.get_config())(wrapper.input)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """How long to train: for `epochs`, or, where it is given, for `steps` of the optimizer in all.

    Not at all where the divergence of an answer is below `unless_below` before: of the scores for an image, or of the
    boxes of an object.
    """

    epochs: int = 0
    steps: int | None = None
    unless_below: float = 0.0

    def steps_with(self, per_epoch: int) -> int:
        """The optimizer's steps in all, where an epoch has `per_epoch`."""
        return self.epochs * per_epoch if self.steps is None else self.steps

    def phase(self, per_epoch: int) -> Phase:
        """The phase for `fit`, evaluated after each epoch, or more often, so that there is something to choose from."""
        steps = self.steps_with(per_epoch)
        judgements = max(-(-steps // per_epoch), min(steps, _JUDGEMENTS))
        return Phase(epochs=judgements, steps=steps, learning_rate=_LEARNING_RATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled:
    """The outcome of a training on `images`, evaluated on `held_out` others: from `start` to the `best` it reached.

    The best is evaluated with whole biases where it was better than the start without them. Unless `is_kept` that was
    not better, and the network stayed as it was. `history` has the evaluation of each epoch, and the step behind which
    it was made; it is empty if there was nothing to gain, and no training. `unsettled` names the tensors that no longer
    suit their ranges.
    """

    images: int
    held_out: int
    start: Evaluation
    best: Evaluation
    is_kept: bool
    history: tuple[tuple[int, Evaluation], ...]
    unsettled: tuple[str, ...]


def quantization_aware_training(
    folded: tf_keras.Model,
    images: ImageSet,
    preprocess: Preprocess,
    settings: TrainSettings,
    *,
    ranges: Ranges,
    largest: LargestWeights,
    teacher: tf_keras.Model,
    duration: Duration,
    output: Output = Output.SOFTMAX,
    detector: DetectorMeasure | None = None,
    kept: Collection[str] = (),
    seen: NDArray[np.int64] | None = None,
    session: Session,
    on_step: OnStep,
) -> Distilled | None:
    """Train `folded` in place, through a fake-quantized copy that starts from `ranges` and keeps them.

    `teacher` is the float network, with the same input and scores of the kind `output`: what counts is that the
    quantized one answers as it does. `detector` is what both are, if they are one. A fifth of the images is held out to
    measure that by the divergence, none of those `seen` by calibration (their indices) while there are others:
    calibration did its best for these. Where they say that the divergence is small enough for the `duration`, the
    network is not trained. The best weights are kept, with whole biases as an artifact has them; if they are not better
    than those that training began with, `folded` stays as it is. For a `duration` of no steps nothing is done, and the
    result is None.

    Batch normalization is frozen by being folded: its statistics cannot move. So are the scales of the weights, in
    which `largest` is code 127. The weights of the convolutions `kept` are not rounded. The learning rate falls from
    its peak to zero along a cosine. Raises `DataError` for fewer than two images.
    """
    if not duration.steps_with(1):
        return None
    make_deterministic(settings.seed)
    learned, held_out = _split(images, seed=settings.seed, seen=seen)
    phase = duration.phase(steps_per_epoch(learned, settings))
    objective = _objective(
        learned, held_out, preprocess, teacher=teacher, output=output, detector=detector, patience=phase.epochs
    )
    grid = _Grid(ranges=ranges, largest=largest, preprocess=preprocess, detector=detector, kept=kept)
    start = _evaluated(student := grid.student(folded), objective)
    if start.loss * (_BOXES_OF_AN_OBJECT if detector else 1) < duration.unless_below:
        return Distilled(
            images=len(learned),
            held_out=len(held_out),
            start=start,
            best=start,
            is_kept=False,
            history=(),
            unsettled=(),
        )
    uses = grid.uses(student, held_out)
    history = fit(student, objective, settings, (phase,), session=session, on_step=on_step)
    judged = _judged(history, phase)
    return _kept(folded, student, grid, objective, held_out=held_out, start=start, uses=uses, judged=judged)


def _objective(
    learned: ImageSet,
    held_out: ImageSet,
    preprocess: Preprocess,
    *,
    teacher: tf_keras.Model,
    output: Output,
    detector: DetectorMeasure | None,
    patience: int,
) -> Objective:
    """What the student learns of its teacher."""
    if detector:
        return DetectorObjective(
            images=learned, preprocess=preprocess, teacher=teacher, detector=detector, held_out=held_out,
            patience=patience,
        )  # fmt: skip
    return ClassObjective(
        images=learned, preprocess=preprocess, as_input=preprocess.dequantize_floats, teacher=teacher, output=output,
        validation=held_out, patience=patience,
    )  # fmt: skip


def _evaluated(student: tf_keras.Model, objective: Objective) -> Evaluation:
    return objective.rated([objective.evaluated(student)])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """The codes that a network's input, weights and activations are rounded to: what training keeps.

    `detector` is what the network is, if it is one; the weights of the convolutions `kept` are not rounded.
    """

    ranges: Ranges
    largest: LargestWeights
    preprocess: Preprocess
    detector: DetectorMeasure | None
    kept: Collection[str]

    def student(self, folded: tf_keras.Model) -> tf_keras.Model:
        """Fake-quantize `folded`, all but its probabilities; the outputs of a detector are joined to one.

        Of a thousand probabilities most round to code 0: they would not show how far they are from float's, and could
        not learn. Their order is that of the logits, which are rounded.
        """
        quantized = fake_quantize(
            folded,
            self.ranges,
            input_scale=self.preprocess.input_scale,
            input_zero_point=self.preprocess.input_zero_point,
            largest=self.largest,
            kept=self.kept,
        )
        last = folded.layers[-1]
        if self.detector:
            return with_joined_heads(quantized, self.detector, names=folded.output_names)
        if len(folded.outputs) > 1 or not gives_probabilities(last):
            return quantized
        return tf_keras.Model(quantized.input, type(last).from_config(last.get_config())(quantized.layers[-1].input))

    def learn(self, folded: tf_keras.Model, student: tf_keras.Model) -> None:
        """Copy into `folded` what `student` learned: weights within their scales, and whole biases."""
        for name, (kernel, bias) in float_weights(student).items():
            ends = self.largest[name].astype(np.float32)
            if isinstance(folded.get_layer(name), tf_keras.layers.DepthwiseConv2D):
                ends = ends.reshape(kernel.shape[2:])
            folded.get_layer(name).set_weights([np.clip(kernel, -ends, ends), bias])
        entry = input_range(input_scale=self.preprocess.input_scale, input_zero_point=self.preprocess.input_zero_point)
        round_biases(folded, self.ranges, entry, self.largest, kept=self.kept)

    def uses(self, student: tf_keras.Model, images: ImageSet) -> dict[str, RangeUse]:
        """Measure how each rectified tensor uses its range on `images`."""

        def inputs() -> Iterator[NDArray[np.float32]]:
            for pixels in iter_pixels(images, self.preprocess, batch=_PROBE_BATCH):
                yield self.preprocess.dequantize(pixels)

        return range_uses(student, self.ranges, inputs())


def _kept(
    folded: tf_keras.Model,
    student: tf_keras.Model,
    grid: _Grid,
    objective: Objective,
    *,
    held_out: ImageSet,
    start: Evaluation,
    uses: dict[str, RangeUse],
    judged: tuple[tuple[int, Evaluation], ...],
) -> Distilled:
    """Copy into `folded` what `student` learned, if it is better than before, when `start` and `uses` were measured."""
    before = folded.get_weights()
    grid.learn(folded, student)
    rounded = grid.student(folded)
    end = _evaluated(rounded, objective)
    is_kept = end.loss < start.loss
    if not is_kept:
        folded.set_weights(before)
    reached = min((found for _, found in judged), key=lambda found: found.loss)
    return Distilled(
        images=len(objective.images),
        held_out=len(held_out),
        start=start,
        best=end if reached.loss < start.loss else reached,
        is_kept=is_kept,
        history=judged,
        unsettled=unsettled(uses, grid.uses(rounded, held_out)) if is_kept else (),
    )


def _split(images: ImageSet, *, seed: int, seen: NDArray[np.int64] | None) -> tuple[ImageSet, ImageSet]:
    """Split the images into those to learn from, and those to evaluate on, none of them `seen` where possible."""
    if len(images) < _LEAST_IMAGES:
        raise DataError(f"quantization-aware training needs at least {_LEAST_IMAGES} images, got {len(images)}")
    order = np.random.default_rng(seed).permutation(len(images))
    if seen is not None:
        is_seen = np.isin(order, seen)
        order = np.concatenate([order[~is_seen], order[is_seen]])
    held_out = order[: max(1, len(images) // _HELD_OUT)]
    return images.without(held_out.tolist()), images.subset(held_out[:_MOST_HELD_OUT])


def _judged(history: list[dict[str, float]], phase: Phase) -> tuple[tuple[int, Evaluation], ...]:
    """The number of steps behind each epoch, and its evaluation."""
    steps = phase.total(0)
    return tuple(
        (steps * number // phase.epochs, Evaluation(loss=figures["val_loss"], accuracy=figures["val_accuracy"]))
        for number, figures in enumerate(history, start=1)
    )
