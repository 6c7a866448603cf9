"""The architectures that are built here, a row each, and what a network of any other one is called.

`ARCHITECTURES` name the class of an image, `DETECTORS` find objects in it on one of these as their backbone. A new
architecture is a folder beside `mobilenet_v1` and a row here. The command line, the stages and the reports take from
the row what differs between architectures. Rows load neither numpy nor TensorFlow before a function is called.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import mbexport.models.mobilenet_v1.cost as v1_cost
import mbexport.models.mobilenet_v1.pretrained as v1_pretrained
import mbexport.models.mobilenet_v1.published as v1_published
import mbexport.models.mobilenet_v2.cost as v2_cost
import mbexport.models.mobilenet_v2.pretrained as v2_pretrained
import mbexport.models.mobilenet_v2.published as v2_published
import mbexport.models.mobilenet_v3.cost as v3_cost
import mbexport.models.mobilenet_v3.pretrained as v3_pretrained
import mbexport.models.mobilenet_v3.published as v3_published
import mbexport.models.ssd.cost as ssd_cost
import mbexport.models.ssd.pretrained as ssd_pretrained
from mbexport.models.cost import Cost, Remarks, pointwise_remarks
from mbexport.models.mobilenet_v1.spec import ModelSpec, spec_of_channels
from mbexport.models.mobilenet_v2.spec import MobileNetV2Spec
from mbexport.models.mobilenet_v3.spec import LargeSpec, SmallSpec
from mbexport.models.pretrained import StoredForm
from mbexport.models.published import PaperNetwork, Published
from mbexport.models.recognition import SpecOfChannels, spec_by_cost
from mbexport.models.spec import NetworkSpec, variant_options
from mbexport.models.ssd.spec import SsdSpec
from mbexport.models.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The names of a family of networks: `name` in files and graphs, `title` in texts for people."""

    name: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture(Family):
    """A family of networks that is built here. Where a function takes a spec, it is a value of `spec`.

    - `spec`: the checked description of one network; its fields beyond those of `NetworkSpec` are options of this
      architecture alone.
    - `arxiv`: the number of the paper on arXiv.
    - `cost(spec)`: mult-adds and parameters, layer by layer, without building the network.
    - `remarks(spec, total)`: what is worth saying of such a cost.
    - `build(spec, batch_norm_momentum=, dropout=, is_resumable=)`: the tf_keras network. Loads TensorFlow.
    - `form`: how Keras stores its weights.
    - `imagenet_files(spec)`: the names of published weights, those with a top first.
    - `spec_of_channels(layers)`: the width and the options of a network of this family that somebody else stored, from
      the (channels, is_depthwise) of its convolutions in order; None for a network of another family.
    - `published`: the checkpoints that others published; `quantized_source`: where the accuracies of the quantized ones
      stand; `published_note`: what a reader of these figures must know.
    - `paper`: the networks that the paper compares.
    - `task`: what its networks are for; those of a detector stand on the `backbone` of that name.
    """

    spec: type[NetworkSpec]
    arxiv: str
    cost: Callable[[Any], Cost]
    remarks: Callable[[Any, Cost], Remarks] = pointwise_remarks
    build: Callable[..., Any]
    form: StoredForm
    imagenet_files: Callable[[Any], tuple[str, ...]]
    spec_of_channels: SpecOfChannels
    published: tuple[Published, ...]
    quantized_source: str
    published_note: str
    paper: tuple[PaperNetwork, ...] = ()
    task: Task = Task.CLASSIFY
    backbone: str | None = None


def _built_in(folder: str) -> Callable[..., Any]:
    """`build` of the module `network` in this folder, which loads TensorFlow and is therefore imported when called."""

    def build(spec: NetworkSpec, **settings: Any) -> Any:
        return import_module(f"mbexport.models.{folder}.network").build(spec, **settings)

    return build


MOBILENET_V1: Final = Architecture(
    name=ModelSpec.architecture,
    title=ModelSpec.family_title,
    spec=ModelSpec,
    arxiv="1704.04861",
    cost=v1_cost.cost,
    remarks=v1_cost.remarks,
    build=_built_in("mobilenet_v1"),
    form=v1_pretrained.FORM,
    imagenet_files=v1_pretrained.imagenet_files,
    spec_of_channels=spec_of_channels,
    published=v1_published.PUBLISHED,
    quantized_source=v1_published.SOURCE,
    published_note=v1_published.NOTE,
    paper=v1_published.PAPER,
)
MOBILENET_V2: Final = Architecture(
    name=MobileNetV2Spec.architecture,
    title=MobileNetV2Spec.family_title,
    spec=MobileNetV2Spec,
    arxiv="1801.04381",
    cost=v2_cost.cost,
    build=_built_in("mobilenet_v2"),
    form=v2_pretrained.FORM,
    imagenet_files=v2_pretrained.imagenet_files,
    spec_of_channels=spec_by_cost(MobileNetV2Spec, v2_cost.cost),
    published=v2_published.PUBLISHED,
    quantized_source=v2_published.SOURCE,
    published_note=v2_published.NOTE,
)


def _mobilenet_v3(
    spec: type[SmallSpec] | type[LargeSpec], form: StoredForm, published: tuple[Published, ...]
) -> Architecture:
    """The row of one size of MobileNet v3."""
    return Architecture(
        name=spec.architecture,
        title=spec.family_title,
        spec=spec,
        arxiv="1905.02244",
        cost=v3_cost.cost,
        build=_built_in("mobilenet_v3"),
        form=form,
        imagenet_files=v3_pretrained.imagenet_files,
        spec_of_channels=spec_by_cost(spec, v3_cost.cost),
        published=published,
        quantized_source=v3_published.SOURCE,
        published_note=v3_published.NOTE,
    )


MOBILENET_V3_SMALL: Final = _mobilenet_v3(SmallSpec, v3_pretrained.SMALL_FORM, v3_published.SMALL)
MOBILENET_V3_LARGE: Final = _mobilenet_v3(LargeSpec, v3_pretrained.LARGE_FORM, v3_published.LARGE)
ARCHITECTURES: Final = (MOBILENET_V1, MOBILENET_V2, MOBILENET_V3_SMALL, MOBILENET_V3_LARGE)
SSD_MOBILENET_V1: Final = Architecture(
    name=SsdSpec.architecture,
    title=SsdSpec.family_title,
    spec=SsdSpec,
    arxiv="1704.04861",
    cost=ssd_cost.cost,
    remarks=ssd_cost.remarks,
    build=_built_in("ssd"),
    form=ssd_pretrained.FORM,
    imagenet_files=ssd_pretrained.imagenet_files,
    spec_of_channels=lambda _layers: None,  # the files of others are read by what they give, not by their layers
    published=(),
    quantized_source="",
    published_note="",
    task=Task.DETECT,
    backbone=ModelSpec.architecture,
)
DETECTORS: Final = (SSD_MOBILENET_V1,)
IMAGENET: Final = "imagenet"  # the name of published weights, in place of a file
_UNKNOWN: Final = Family(name="classifier", title="Image classifier")


def architecture_of(spec: NetworkSpec) -> Architecture:
    """The row whose networks `spec` describes."""
    return next(each for each in (*ARCHITECTURES, *DETECTORS) if each.name == spec.architecture)


def architecture_named(name: str | None) -> Architecture | None:
    """The row of that name, None if there is none."""
    return next((each for each in (*ARCHITECTURES, *DETECTORS) if each.name == name), None)


def family_named(name: str | None) -> Family:
    """The family of that name; for None or a name of no row, what any network is called."""
    return architecture_named(name) or _UNKNOWN


def options_of_architectures() -> dict[str, tuple[Architecture, ...]]:
    """For each option that not every architecture has, the rows that have it."""
    names = dict.fromkeys(name for row in ARCHITECTURES for name in variant_options(row.spec))
    return {name: tuple(row for row in ARCHITECTURES if name in variant_options(row.spec)) for name in names}
