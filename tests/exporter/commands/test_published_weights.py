"""`--weights imagenet` of each architecture: which file of Keras' cache is taken, with a top and without one."""

import pytest

from mbexport.commands.build_and_export import weights_file
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.mobilenet_v2.spec import MobileNetV2Spec
from mbexport.models.mobilenet_v3.spec import LargeSpec, SmallSpec

V2 = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224"
SMALL = "weights_mobilenet_v3_small_224_1.0_float"
SPECS = [
    pytest.param(MobileNetV2Spec(alpha=0.35), {"whole": f"{V2}.h5", "backbone": f"{V2}_no_top.h5"}, id="v2"),
    pytest.param(SmallSpec(), {"whole": f"{SMALL}.h5", "backbone": f"{SMALL}_no_top_v2.h5"}, id="v3 small"),
]


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The folder of weights in Keras' cache."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.mark.parametrize(("spec", "names"), SPECS)
@pytest.mark.parametrize(
    ("cached", "taken"),
    [
        ((), ("whole", "whole")),  # to be downloaded
        (("backbone",), ("whole", "backbone")),  # where a new head is trained, a file without one will do
        (("backbone", "whole"), ("whole", "whole")),
    ],
)
def test_a_file_without_a_top_is_taken_where_a_new_one_is_trained(models, spec, names, cached, taken):
    for each in cached:
        (models / names[each]).touch()
    found = [weights_file("imagenet", spec, None, needs_head=needed) for needed in (True, False)]
    assert found == [models / names[each] for each in taken]


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (ModelSpec(alpha=0.75), "mobilenet_7_5_224_tf.h5"),
        (LargeSpec(minimalistic=True), "weights_mobilenet_v3_large_minimalistic_224_1.0_float.h5"),
    ],
    ids=["v1", "v3 large"],
)
def test_each_architecture_has_its_own_names(models, spec, name):
    assert weights_file("imagenet", spec, None, needs_head=True) == models / name
