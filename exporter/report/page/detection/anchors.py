"""What the page shows of a detector's anchors, and of the boxes of the data that were left out."""

from typing import Any, Final

from mbexport.report.page.numbers import Json, number

_MOST_LISTED: Final = 5  # report.json has the others


def context(report: Json) -> dict[str, Any]:
    """The names that only the templates of detectors use."""
    return {
        "anchor_shapes": _shapes(report.get("anchors")),
        "box_parts": _parts(report.get("boxes")),
        "boxes_left_out": _left_out(report.get("boxes")),
    }


def _shapes(anchors: Json | None) -> list[tuple[str, str]]:
    """Names and values; none in a report that does not tell of shapes."""
    if anchors is None:
        return []
    return [
        ("Anchors of all maps", number(anchors["count"])),
        ("Scales, map by map", _listed(anchors["scales"])),
        ("Smallest scale of the finest map", number(anchors["lowest_scale"])),
        ("Ratios of width to height", _listed(anchors["ratios"])),
        ("Factors of the codes of y, x, height, width", _listed(anchors["code_scales"])),
    ]


def _parts(boxes: Json | None) -> list[tuple[str, int, int, str]]:
    """Each part with its boxes, how many of them were left out, and of what kinds they are."""
    return [
        (
            part["part"],
            part["checked"],
            sum(part["left_out"].values()),
            ", ".join(f"{number(count)} {fault}" for fault, count in part["left_out"].items()),
        )
        for part in (boxes or {}).get("parts", [])
    ]


def _left_out(boxes: Json | None) -> list[str]:
    """The first boxes that were left out, a line each, and how many more there are."""
    listed = (boxes or {}).get("listed", [])
    lines = [f"{each['file']}: {each['problem']}" for each in listed[:_MOST_LISTED]]
    more = (boxes or {}).get("left_out", 0) - sum(each["boxes"] for each in listed[:_MOST_LISTED])
    return [*lines, *([f"and {number(more)} more, listed in report.json"] if more > 0 else [])]


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)
