"""How the outputs of a detection network are read: its anchors, the scales of codes, and which scores are kept.

These facts travel with the network from its training to its files.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from mbexport.models.detection.anchors import AnchorTable, anchors_of
from mbexport.models.detection.boxes import Centers
from mbexport.models.detection.heads import Heads
from mbexport.models.detection.settings import PostProcess
from mbexport.models.resolution import RESOLUTION_SCHEMA, Resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """What is known of a detector beside its network: `table` and `maps`, finest first, decide its anchors."""

    table: AnchorTable
    maps: tuple[Resolution, ...]
    resolution: Resolution
    settings: PostProcess

    @property
    def heads(self) -> Heads:
        """The outputs of its network, map by map."""
        return Heads(anchors=self.table.per_place, code_scales=self.table.code_scales)

    @property
    def anchors(self) -> Centers:
        """The anchors of all maps, in the order of the network's outputs: float32 (n, 4) of y, x, height, width."""
        return anchors_of(self.table, self.maps, resolution=self.resolution)


_NUMBERS: Final = {"type": "array", "items": {"type": "number"}}
_FOUR: Final = {**_NUMBERS, "minItems": 4, "maxItems": 4}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


# The form of what `detector_to_json` makes of a `Detector`.
DETECTOR_SCHEMA: Final[dict[str, Any]] = _object(
    {
        "table": _object(
            {
                "scales": _NUMBERS,
                "ratios": _NUMBERS,
                "lowest_scale": {"type": "number"},
                "code_scales": _FOUR,
            }
        ),
        "maps_px": {"type": "array", "items": dict(RESOLUTION_SCHEMA)},
        "resolution_px": dict(RESOLUTION_SCHEMA),
        "settings": _object(
            {
                "score_threshold": {"type": "number"},
                "iou_threshold": {"type": "number"},
                "max_detections": {"type": "integer"},
            }
        ),
    }
)


def detector_to_json(detector: Detector) -> dict[str, Any]:
    """A `Detector` in the form `DETECTOR_SCHEMA`."""
    return {
        "table": asdict(detector.table),
        "maps_px": [size.json for size in detector.maps],
        "resolution_px": detector.resolution.json,
        "settings": asdict(detector.settings),
    }


def detector_from_json(values: Mapping[str, Any]) -> Detector:
    """Read a `Detector` of the form `DETECTOR_SCHEMA`. Raises `OptionError` for values that it cannot have."""
    table = values["table"]
    return Detector(
        table=AnchorTable(
            scales=tuple(table["scales"]),
            ratios=tuple(table["ratios"]),
            lowest_scale=table["lowest_scale"],
            code_scales=tuple(table["code_scales"]),
        ),
        maps=tuple(map(Resolution.parse, values["maps_px"])),
        resolution=Resolution.parse(values["resolution_px"]),
        settings=PostProcess(**values["settings"]),
    )
