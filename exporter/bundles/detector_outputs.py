"""What an app's detector must answer: four outputs, which wrappers find by their names."""

from mbexport.bundles.app_model import DetectorModel
from mbexport.errors import DataError
from mbexport.formats.detection_tail import CATEGORY, LOCATION, NUMBER, SCORE
from mbexport.formats.runner import FLOAT


def most_found(app: DetectorModel) -> int:
    """How many objects the detector finds at most.

    Raises `DataError` for other outputs than location (1, n, 4), category (1, n), score (1, n) and number of detections
    (1,) in float32, and for golden rows of a class without a label.
    """
    artifact = app.artifact
    found = {each.name: each.shape for each in artifact.outputs if each.dtype == FLOAT}
    most = found.get(SCORE, (1, 0))[-1]
    wanted = {LOCATION: (1, most, 4), CATEGORY: (1, most), SCORE: (1, most), NUMBER: (1,)}
    if most < 1 or found != wanted or len(artifact.outputs) != len(wanted):
        told = ", ".join(f"{each.name} {each.dtype} {each.shape}" for each in artifact.outputs)
        raise DataError(
            f"{artifact.file}: an app's detector must give float32 location (1, n, 4), category (1, n), score (1, n) "
            f"and number of detections (1,), got {told or 'none'}"
        )
    rows = (row for case in app.golden.cases for row in case.expected.get(artifact.file, ()))
    unknown = next((row.index for row in rows if row.index >= app.golden.classes), None)
    if unknown is not None:
        raise DataError(f"golden.json must name classes below {app.golden.classes}, got {unknown}")
    return most
