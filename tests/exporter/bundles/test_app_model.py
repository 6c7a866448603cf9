"""Which golden vectors and labels an app's model goes with."""

from dataclasses import replace

import pytest
from golden_by_hand import LABELS, app_model_by_hand

from mbexport.bundles.app_model import restrict_golden
from mbexport.errors import DataError


@pytest.mark.parametrize("labels", [(), LABELS[:2], (*LABELS, "more")])
def test_labels_that_are_not_as_many_as_the_classes_are_refused(labels):
    with pytest.raises(DataError, match=f"labels must be 3, one for each class, got {len(labels)}"):
        restrict_golden(replace(app_model_by_hand(), labels=labels))


def test_a_missing_vector_is_named():
    app = app_model_by_hand()
    files = {name: content for name, content in app.golden_files.items() if name != "case_0/raw.rgb"}
    with pytest.raises(DataError, match=r"names case_0/raw\.rgb, and there is no such file"):
        restrict_golden(replace(app, golden_files=files))
