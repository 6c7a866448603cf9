"""The options of `build` and `export` for a detector: its own, those that it does not have, and its anchors."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mbexport.artifact import Precision
from mbexport.commands import options
from mbexport.commands.options import Group
from mbexport.errors import OptionError
from mbexport.models.spec import NetworkSpec
from mbexport.models.ssd.spec import FEATURE_STRIDES, SsdSpec
from mbexport.models.task import Task

if TYPE_CHECKING:
    from mbexport.models.data.imageset import DataSet
    from mbexport.models.ssd.anchor_choice import AnchorChoice

raw_heads: Final = options.option(
    "--raw-heads",
    group=Group.ARTIFACTS,
    is_flag=True,
    help="Detectors: make a .tflite of each precision, too, that gives codes and scores with the anchors in its "
    "metadata, for MediaPipe on GPUs and NPUs, which refuse the op that makes boxes.",
)

# Options of classifiers alone: their names, as values have them and as they are typed, and the values that say nothing.
_OF_CLASSIFIERS: Final = (
    ("crop_fraction", "--crop-fraction", None),
    ("logits", "--logits", False),
    ("batch", "--batch", "1"),
    ("io", "--io", "uint8"),
)
_PRECISIONS: Final = (Precision.FP32, Precision.INT8)


def require_for_task(given: Mapping[str, Any]) -> None:
    """Raises `OptionError` for an option that a detector does not have."""
    if given["task"] is not Task.DETECT:
        return
    for name, option, usual in _OF_CLASSIFIERS:
        if given[name] != usual:
            raise OptionError(f"{option} is for --task {Task.CLASSIFY}, got --task {Task.DETECT}: drop {option}")
    other = next((each for each in given["precisions"] if each not in _PRECISIONS), None)
    if other is not None:
        legal = " and ".join(_PRECISIONS)
        raise OptionError(f"detectors are made in {legal}, got --precision {other}")


def chosen_anchors(data: "DataSet", spec: NetworkSpec, given: Mapping[str, Any]) -> "AnchorChoice":
    """The anchors, and the stride of the finest map, for the boxes that are learned from, where no option says them.

    Raises `OptionError` for a table that there is not.
    """
    from mbexport.models.ssd.anchor_choice import TABLES, choose_anchors

    require_table(given["anchors"])

    assert data.objects is not None
    assert isinstance(spec, SsdSpec)
    stride, table = given["feature_stride"], given["anchors"]
    return choose_anchors(
        data.objects(data.split(given["seed"])[0].names),
        spec,
        strides=FEATURE_STRIDES if stride is None else (int(stride),),
        tables=tuple(TABLES) if table is None else (table,),
        seed=given["seed"],
    )


def require_table(name: str | None) -> None:
    """Raises `OptionError` for a table of anchors that there is not; None is any."""
    from mbexport.models.ssd.anchor_choice import TABLES

    if name is not None and name not in TABLES:
        raise OptionError(f"--anchors must be {' or '.join(TABLES)}, got {name}")
