"""Compute the mult-adds and parameters of each layer of an SSD on MobileNet v1, without building the network."""

from collections.abc import Iterator

from mbexport.models.cost import Cost, LayerCost, Remarks, convolution, pointwise_remarks
from mbexport.models.mobilenet_v1.cost import body_layers
from mbexport.models.mobilenet_v1.spec import KERNEL_PX
from mbexport.models.ssd.published import PUBLISHED, PublishedDetector
from mbexport.models.ssd.spec import ANCHORS_PER_PLACE, FEATURE_BLOCKS, SsdSpec


def cost(spec: SsdSpec) -> Cost:
    """The cost of the detector that `spec` describes, up to its boxes' codes and scores.

    What the published 6.8 M parameters count are `folded_parameters`: 6.807 M for 300 px, alpha 1 and 91 columns, which
    are 6.845 M while batch normalization has four parameters a channel.
    """
    return Cost(layers=tuple(_layers(spec)))


def remarks(spec: SsdSpec, total: Cost) -> Remarks:
    """Where the work is, what the predictors take of it, and how many boxes they give."""
    (shared,) = pointwise_remarks(spec, total).lines
    maps = ", ".join(str(size) for size in spec.maps)
    lines = (
        shared,
        f"predictors of boxes and scores {total.held('predictor')}",
        f"{spec.anchor_count:,} anchors on maps of {maps} px",
        f"{total.folded_parameters / 1e6:.3f} M parameters with batch normalization folded into biases",
        *(_published_line(each) for each in PUBLISHED if each.spec == spec),
    )
    return Remarks(lines=lines, figures={"anchors": spec.anchor_count, "folded_parameters": total.folded_parameters})


def _layers(spec: SsdSpec) -> Iterator[LayerCost]:
    body = tuple(body_layers(spec))
    yield from body
    features = [layer for layer in body if layer.name in {f"conv_pw_{number}" for number in FEATURE_BLOCKS}]
    for number, stage in enumerate(spec.extras, start=1):
        before, name = features[-1], f"extra_{number}"
        m, size = before.channels_out, before.output
        yield convolution(f"{name}_reduce", "pointwise", m=m, n=stage.reduced, output=size)
        features.append(
            convolution(
                name, "standard", kernel_px=KERNEL_PX, m=stage.reduced, n=stage.channels, output=size.strided(2)
            )
        )
        yield features[-1]
    for level, (feature, each) in enumerate(zip(features, ANCHORS_PER_PLACE, strict=True)):
        m, size = feature.channels_out, feature.output
        yield convolution(f"boxes_{level}", "predictor", m=m, n=4 * each, output=size, has_bias=True)
        yield convolution(f"classes_{level}", "predictor", m=m, n=spec.classes * each, output=size, has_bias=True)


def _published_line(found: PublishedDetector) -> str:
    return (
        f"published: {found.mult_adds_m / 1e3:.1f} B mult-adds, {found.parameters_m:.1f} M parameters, COCO AP "
        f"{found.ap:.3f} (arXiv 1704.04861, table 13)"
    )
