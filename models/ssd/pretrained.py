"""What of an SSD on MobileNet v1 the weights of Keras' classifiers fit, and what is to be trained anew."""

from typing import Final

from mbexport.models.mobilenet_v1.pretrained import FORM as BACKBONE_FORM
from mbexport.models.mobilenet_v1.pretrained import imagenet_files as backbone_files
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.pretrained import StoredForm
from mbexport.models.ssd.spec import ANCHORS_PER_PLACE, EXTRA_FILTERS, SsdSpec

BOX_PREDICTORS: Final = tuple(f"boxes_{level}" for level in range(len(ANCHORS_PER_PLACE)))
CLASS_PREDICTORS: Final = tuple(f"classes_{level}" for level in range(len(ANCHORS_PER_PLACE)))
_EXTRAS: Final = tuple(
    f"{name}{end}"
    for number in range(1, len(EXTRA_FILTERS) + 1)
    for name in (f"extra_{number}_reduce", f"extra_{number}")
    for end in ("", "_bn")
)

# The classifier's own head is no layer of a detector, and is left where it is.
FORM: Final = StoredForm(
    keras_module=BACKBONE_FORM.keras_module,
    head=BACKBONE_FORM.head,
    tail=(*_EXTRAS, *BOX_PREDICTORS, *CLASS_PREDICTORS),
    has_biased_body=BACKBONE_FORM.has_biased_body,
    alpha_of=BACKBONE_FORM.alpha_of,
)


def imagenet_files(spec: SsdSpec) -> tuple[str, ...]:
    """The name of the ImageNet weights that Keras publishes for the backbone: those of 224 px for any size.

    Objects have any size in a detector's image, and all of its layers are trained further. Raises `OptionError` if
    Keras publishes none for its width.
    """
    return backbone_files(ModelSpec(alpha=spec.alpha))
