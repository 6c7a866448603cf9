"""An SSD's maps and cost against published figures and figures computed by hand; its spec's limits."""

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import OptionError
from mbexport.models.cost import LayerCost
from mbexport.models.detection.anchors import AnchorTable
from mbexport.models.mobilenet_v1.cost import cost as classifier_cost
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.pretrained import IMAGENET_CLASSES
from mbexport.models.resolution import Resolution
from mbexport.models.ssd.cost import cost, remarks
from mbexport.models.ssd.pretrained import imagenet_files
from mbexport.models.ssd.published import PUBLISHED
from mbexport.models.ssd.spec import ANCHORS_PER_PLACE, SsdSpec

SIDES = st.integers(96, 1024)
SPECS = st.builds(
    lambda alpha, height, width, classes, stride: SsdSpec(
        alpha=alpha,
        resolution=Resolution(height_px=height, width_px=width),
        classes=classes,
        feature_stride=stride,
    ),
    st.floats(0.01, 1),
    SIDES,
    SIDES,
    st.integers(1, 99),
    st.sampled_from([16, 8]),
)
FULL = cost(SsdSpec())


def layer(name: str) -> LayerCost:
    (found,) = (each for each in FULL.layers if each.name == name)
    return found


def test_the_published_detector_by_its_figures() -> None:
    (row,) = PUBLISHED
    total = cost(row.spec)
    assert (row.spec.resolution, row.spec.alpha, row.spec.classes) == (Resolution.square(300), 1, 91)
    assert total.mult_adds == 1_237_129_408
    assert total.mult_adds / 1e6 == pytest.approx(row.mult_adds_m, rel=0.04)
    # Kernels and one bias a channel; 12,672 channels have batch normalization, with three parameters more.
    assert total.folded_parameters == 6_807_167
    assert round(total.folded_parameters / 1e6, 1) == row.parameters_m
    assert total.parameters == total.folded_parameters + 3 * 12_672


@pytest.mark.parametrize(
    ("name", "mult_adds", "parameters"),
    [
        ("conv1", 27 * 32 * 150**2, 27 * 32 + 4 * 32),
        ("conv_dw_4", 9 * 128 * 38**2, 9 * 128 + 4 * 128),  # 75 px a side before it: half of them, rounded up
        ("conv_pw_11", 512 * 512 * 19**2, 512 * 512 + 4 * 512),
        ("extra_1_reduce", 1024 * 256 * 10**2, 1024 * 256 + 4 * 256),
        ("extra_1", 9 * 256 * 512 * 5**2, 9 * 256 * 512 + 4 * 512),
        ("extra_4", 9 * 64 * 128, 9 * 64 * 128 + 4 * 128),
        ("boxes_0", 512 * 12 * 19**2, 512 * 12 + 12),
        ("classes_1", 1024 * 6 * 91 * 10**2, 1024 * 6 * 91 + 6 * 91),
        ("classes_5", 128 * 6 * 91, 128 * 6 * 91 + 6 * 91),
    ],
)
def test_a_layer_costs_what_a_hand_computes(name: str, mult_adds: int, parameters: int) -> None:
    assert (layer(name).mult_adds, layer(name).parameters) == (mult_adds, parameters)


@pytest.mark.parametrize(
    ("side_px", "stride", "sides", "anchors"),
    [
        (300, 16, (19, 10, 5, 3, 2, 1), 1917),
        (300, 8, (38, 19, 10, 5, 3, 2), 38**2 * 3 + (361 + 100 + 25 + 9 + 4) * 6),
        (192, 8, (24, 12, 6, 3, 2, 1), 2892),
        (96, 16, (6, 3, 2, 1, 1, 1), 36 * 3 + (9 + 4 + 3) * 6),
        (97, 16, (7, 4, 2, 1, 1, 1), 49 * 3 + (16 + 4 + 3) * 6),
    ],
)
def test_maps_by_hand(side_px: int, stride: int, sides: tuple[int, ...], anchors: int) -> None:
    spec = SsdSpec(resolution=Resolution.square(side_px), feature_stride=stride)
    assert spec.maps == tuple(map(Resolution.square, sides))
    assert spec.anchor_count == anchors


def test_the_network_has_the_anchors_of_tensorflows_table() -> None:
    assert AnchorTable().per_place == ANCHORS_PER_PLACE


@given(SPECS)
def test_the_predictors_read_the_maps_of_the_spec(spec: SsdSpec) -> None:
    predictors = [each for each in cost(spec).layers if each.kind == "predictor"]
    assert [each.name for each in predictors] == [f"{what}_{k}" for k in range(6) for what in ("boxes", "classes")]
    assert tuple(each.output for each in predictors[::2]) == spec.maps
    assert sum(each.output.pixels * each.channels_out for each in predictors[::2]) == 4 * spec.anchor_count
    assert sum(each.output.pixels * each.channels_out for each in predictors[1::2]) == spec.classes * spec.anchor_count
    # Every side is one of the strides, rounded up, so that no map is empty and none is beyond its stride.
    expected = math.ceil(spec.resolution.height_px / spec.feature_stride)
    assert spec.maps[0].height_px == expected


@given(st.sampled_from([0.25, 0.5, 1.0]), st.integers(3, 32).map(lambda k: 32 * k))
def test_the_backbone_costs_what_the_classifier_does(alpha: float, px: int) -> None:
    size = Resolution.square(px)
    backbone = classifier_cost(ModelSpec(alpha=alpha, resolution=size)).layers[:-1]
    assert cost(SsdSpec(alpha=alpha, resolution=size)).layers[: len(backbone)] == backbone


@given(st.integers(6, 64).map(lambda k: 16 * k))
def test_finer_maps_cost_four_times_as_much_from_block_6_on(px: int) -> None:
    coarse, fine = (cost(SsdSpec(resolution=Resolution.square(px), feature_stride=stride)).layers for stride in (16, 8))
    assert [each.weights for each in coarse] == [each.weights for each in fine]
    for one, other in zip(coarse[:11], fine[:11], strict=True):
        assert one == other
    for one, other in zip(coarse[11:22], fine[11:22], strict=True):  # up to block 11; sides of 16 halve evenly so far
        assert 4 * one.mult_adds == other.mult_adds


def test_remarks_say_where_the_work_is() -> None:
    found = remarks(SsdSpec(), FULL)
    assert found.figures == {"anchors": 1917, "folded_parameters": 6_807_167}
    assert found.lines[2] == "1,917 anchors on maps of 19, 10, 5, 3, 2, 1 px"
    share = sum(each.mult_adds for each in FULL.layers if each.name.startswith(("boxes", "classes"))) / FULL.mult_adds
    assert f"{share:.1%} of the mult-adds" in found.lines[1]
    assert found.lines[3].startswith("6.807 M parameters with batch normalization folded")
    assert found.lines[4].startswith("published: 1.2 B mult-adds, 6.8 M parameters, COCO AP 0.193")
    other = SsdSpec(classes=3)
    assert len(remarks(other, cost(other)).lines) == 4  # nobody published that one


def test_names_of_files() -> None:
    assert SsdSpec(alpha=0.25, resolution=Resolution.square(192)).stem_name == "ssd_mobilenet_v1_0.25_192"
    fine = SsdSpec(alpha=0.25, resolution=Resolution(height_px=96, width_px=128), feature_stride=8)
    assert fine.stem_name == "ssd_mobilenet_v1_stride8_0.25_96x128"
    assert (fine.variant, fine.rho, fine.title) == ({"feature_stride": 8}, None, "SSD MobileNet v1")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"alpha": 1.4}, "alpha must be in (0, 1], got 1.4"),
        ({"alpha": math.nan}, "alpha must be in (0, 1], got nan"),
        ({"resolution": Resolution.square(95)}, "resolution must be from 96 to 1024, got 95"),
        ({"resolution": Resolution(height_px=96, width_px=1025)}, "resolution must be from 96 to 1024, got 96x1025"),
        ({"classes": 0}, "classes must be at least 1, got 0"),
        ({"feature_stride": 4}, "feature stride must be 16 or 8, got 4"),
    ],
)
def test_what_is_no_detector_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError) as error:
        SsdSpec(**values)  # type: ignore[arg-type]
    assert str(error.value) == message


def test_the_backbone_has_the_weights_of_224_px_whatever_the_size() -> None:
    for px in (96, 192, 300, 1024):
        assert imagenet_files(SsdSpec(alpha=0.25, resolution=Resolution.square(px))) == ("mobilenet_2_5_224_tf.h5",)
    with pytest.raises(OptionError, match=r"published for alpha 0\.25, 0\.5, 0\.75, 1, got 0\.3"):
        imagenet_files(SsdSpec(alpha=0.3))
    assert ModelSpec().classes == IMAGENET_CLASSES


def test_costs_are_known_without_numpy_and_tensorflow() -> None:
    code = (
        "import sys\n"
        "from mbexport.models.ssd.cost import cost\n"
        "from mbexport.models.ssd.pretrained import FORM, imagenet_files\n"
        "from mbexport.models.ssd.published import PUBLISHED\n"
        "assert cost(PUBLISHED[0].spec).parameters and imagenet_files(PUBLISHED[0].spec)\n"
        "assert not {'numpy', 'tensorflow', 'tf_keras'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
