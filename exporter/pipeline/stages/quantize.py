"""Quantization-aware training: bring the calibrated integers nearer to float, or keep them."""

from mbexport.calibration.samples import balanced_samples
from mbexport.pipeline.context import Context
from mbexport.pipeline.stage import Files, Options
from mbexport.pipeline.stage_files import TRAINING, WEIGHTS
from mbexport.pipeline.stages.train import distillation_settings


def quantize_options(run: Context) -> Options:
    """What decides the training; the images do only where there is any."""
    plan = run.plan
    return {
        "qat_epochs": plan.qat_epochs if plan.qat_steps is None else None,
        "qat_steps": plan.qat_steps,
        "images": run.images.fingerprints if plan.is_distilled else None,
    }


def quantize(run: Context) -> Files:
    """The folded network's weights after quantization-aware training, and how that went, if there was any."""
    from mbexport.calibration.qat.train import SETTLED, Duration, quantization_aware_training
    from mbexport.models.facts import Output
    from mbexport.models.folding import fold_batch_norm
    from mbexport.models.training.train import make_deterministic
    from mbexport.models.weights import weights_to_bytes
    from mbexport.pipeline.networks import (
        detector_measure,
        float_network,
        folded_network,
        kept_of,
        largest_of,
        ranges_of,
    )
    from mbexport.report.content import distilled_json, to_bytes

    plan, start, images = run.plan, run.calibrated, run.images.train
    make_deterministic(plan.seed)
    folded, facts = folded_network(start), start.source.facts
    # Steps are trained whoever asks for them; squared errors of logits are in units that nobody knows.
    settled = 0.0 if plan.qat_steps is not None or facts.output is Output.LOGITS else SETTLED
    is_calibrated_on = images is run.images.calibration
    found = quantization_aware_training(
        folded,
        images,
        facts.preprocess,
        distillation_settings(plan, is_photos=run.images.is_photos),
        ranges=ranges_of(start),
        largest=largest_of(start),
        teacher=fold_batch_norm(float_network(start.source), preprocess=facts.preprocess),
        output=facts.output,
        detector=detector_measure(facts),
        kept=kept_of(start),
        seen=balanced_samples(images.labels, plan.calibration_samples, seed=plan.seed) if is_calibrated_on else None,
        duration=Duration(epochs=plan.qat_epochs, steps=plan.qat_steps, unless_below=settled),
        session=run.session,
        on_step=run.progress.step,
    )
    told = {TRAINING: to_bytes(distilled_json(found, output=facts.output))} if found else {}
    return {WEIGHTS: weights_to_bytes(folded), **told}
