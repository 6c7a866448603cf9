"""Say how an artifact is fed in the words of golden.json."""

from mbexport.formats.runner import FLOAT, Runner
from mbexport.golden.vectors import GoldenInput
from mbexport.models.channels import colour_of
from mbexport.models.preprocess import Preprocess, widened


def golden_input(runner: Runner, preprocess: Preprocess) -> GoldenInput:
    """The input of an artifact whose floats are those that `preprocess` makes of bytes."""
    norm, source = preprocess.normalization, runner.input
    mean, std = (
        ((), ()) if source.dtype != FLOAT else (widened(each, runner.channels) for each in (norm.mean, norm.std))
    )
    return GoldenInput(
        name=source.name,
        dtype=source.dtype,
        shape=source.shape,
        layout=runner.layout.value,
        channel_order=colour_of(preprocess.channels, is_bgr=norm.is_bgr),
        mean=mean,
        std=std,
    )
