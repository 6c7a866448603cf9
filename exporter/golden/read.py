"""Read golden.json, whatever task its artifacts are for."""

from mbexport.documents import parse_json
from mbexport.golden.detection.vectors import DetectorGolden, detector_golden_from_bytes
from mbexport.golden.vectors import Golden, golden_from_bytes


def read_golden(content: bytes) -> Golden | DetectorGolden:
    """The golden vectors in the content of a golden.json. Raises `DataError` for anything else."""
    try:
        value = parse_json(content)
    except ValueError:
        value = None  # the reader of a classifier's says what is wrong
    is_detector = isinstance(value, dict) and "task" in value
    return detector_golden_from_bytes(content) if is_detector else golden_from_bytes(content)
