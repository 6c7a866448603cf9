"""The architectures that are built here, a row each, and what a network of any other one is called.

A new architecture is a folder beside `mobilenet_v1` and a row here. The command line, the stages and the reports take
from the row what differs between architectures. Rows load neither numpy nor TensorFlow before a function is called.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mbexport.models.mobilenet_v1 import pretrained, published
from mbexport.models.mobilenet_v1.cost import Cost, cost
from mbexport.models.mobilenet_v1.published import PaperNetwork, Published
from mbexport.models.mobilenet_v1.spec import REFERENCE_RESOLUTION_PX, ModelSpec, alpha_of_channels


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The names of a family of networks: `name` in files and graphs, `title` in texts for people."""

    name: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture(Family):
    """A family of networks that is built here. Where a function takes a spec, it is a value of `spec`.

    - `spec`: the checked description of one network, with at least `alpha`, `resolution_px`, `classes`, `stem_name`.
    - `reference_resolution_px`: the side in pixels at which the resolution multiplier is 1.
    - `cost(spec)`: mult-adds and parameters, layer by layer, without building the network.
    - `build(spec, batch_norm_momentum=, dropout=, is_resumable=)`: the tf_keras network. Loads TensorFlow.
    - `head`: the name of the last layer with weights, which fine-tuning trains anew.
    - `alpha_of_channels(layers)`: the width multiplier of a network of this family that somebody else stored, from
      the (channels, is_depthwise) of its convolutions in order; None for a network of another family.
    - `published`, `nearest_published(alpha=, resolution_px=)`: the checkpoints that others published.
    - `paper`: the networks that the paper compares.
    - `imagenet_file(spec)`, `imagenet_weights(spec, keras_home)`: the name and the file of published weights.
    - `imagenet_classes`: how many classes these have.
    - `set_weights(model, stored, source=, keeps_head=)`: puts the tensors of a Keras file into a network.
    - `head_classes(stored)`: how many classes such tensors are for, None without a head.
    """

    spec: type[ModelSpec]
    reference_resolution_px: int
    cost: Callable[[ModelSpec], Cost]
    build: Callable[..., Any]
    head: str
    alpha_of_channels: Callable[[Sequence[tuple[int, bool]]], float | None]
    published: tuple[Published, ...]
    nearest_published: Callable[..., Published]
    paper: tuple[PaperNetwork, ...]
    imagenet_file: Callable[[ModelSpec], str]
    imagenet_weights: Callable[[ModelSpec, Path], Path]
    imagenet_classes: int
    set_weights: Callable[..., None]
    head_classes: Callable[[Mapping[str, Any]], int | None]


def _build_mobilenet_v1(spec: ModelSpec, **settings: Any) -> Any:
    from mbexport.models.mobilenet_v1.network import build

    return build(spec, **settings)


MOBILENET_V1: Final = Architecture(
    name="mobilenet_v1",
    title="MobileNet v1",
    spec=ModelSpec,
    reference_resolution_px=REFERENCE_RESOLUTION_PX,
    cost=cost,
    build=_build_mobilenet_v1,
    head=pretrained.HEAD,
    alpha_of_channels=alpha_of_channels,
    published=published.PUBLISHED,
    nearest_published=published.nearest_published,
    paper=published.PAPER,
    imagenet_file=pretrained.imagenet_file,
    imagenet_weights=pretrained.imagenet_weights,
    imagenet_classes=pretrained.IMAGENET_CLASSES,
    set_weights=pretrained.set_weights,
    head_classes=pretrained.head_classes,
)
ARCHITECTURES: Final = (MOBILENET_V1,)
IMAGENET: Final = "imagenet"  # the name of published weights, in place of a file
_UNKNOWN: Final = Family(name="classifier", title="Image classifier")


def architecture_of(spec: ModelSpec) -> Architecture:
    """The row whose networks `spec` describes."""
    return next(each for each in ARCHITECTURES if isinstance(spec, each.spec))


def architecture_named(name: str | None) -> Architecture | None:
    """The row of that name, None if there is none."""
    return next((each for each in ARCHITECTURES if each.name == name), None)


def family_named(name: str | None) -> Family:
    """The family of that name; for None or a name of no row, what any network is called."""
    return architecture_named(name) or _UNKNOWN
