"""What cards of every task say of images: what a set of them is called, how a picture is resized."""

from mbexport.escaping.characters import LONGEST_NAME, one_line
from mbexport.models.channels import CHANNELS
from mbexport.models.resolution import Resolution
from mbexport.report.formatting import Json


def named(data: Json) -> str:
    """The data set by its name and its fingerprint."""
    name = "images without a name" if data["name"] is None else one_line(data["name"], LONGEST_NAME)
    return f"{name} (fingerprint {data['fingerprint']})" if data["fingerprint"] else name


def greyed(report: Json) -> str:
    """What is done to the colours of a picture before anything else, as the beginning of a list; empty for colours."""
    kind = CHANNELS[report["model"].get("channels", 3)]
    return "made grey (ITU-R 601-2 luma, as Pillow's L), " if kind.is_grey else ""


def resized(report: Json) -> str:
    """To how many pixels a picture is resized, and how, as the end of a sentence."""
    resolution = Resolution.parse(report["model"]["resolution_px"])
    kind = CHANNELS[report["model"].get("channels", 3)]
    alpha = " Each channel is resized by itself, alpha too." if kind.has_alpha else ""
    return (
        f"resized to {resolution.extent} pixels as Pillow's BILINEAR does, which looks at all pixels when it "
        f"reduces.{alpha}"
    )
