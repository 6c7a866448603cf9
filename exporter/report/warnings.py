"""Warn of what the reader of a report must not miss: guessing networks, dead channels, wrong inputs, noise."""

from mbexport.artifact import Precision
from mbexport.calibration.choices import Observer
from mbexport.models.data.left_out import counted
from mbexport.models.preprocess import MOBILENET_NAME
from mbexport.report.formatting import Json, fed
from mbexport.report.tasks.detection import boxes_line
from mbexport.report.tasks.registry import text_of

_MOST_CLIPPED = 0.01
_FEWEST_CODES = 64  # of 256: six bits
_CODES = 256
_CLEARLY_BETTER = 0.05  # top-1: beyond what a few hundred images can do by chance


def warnings_of(report: Json) -> list[str]:
    """All warnings, a line each: images left out, a network that guesses or is fed wrongly, noisy latencies."""
    data = report["data"]
    lines = []
    if data["unreadable"]:
        lines.append(f"{len(data['unreadable'])} images cannot be read and were left out; report.json lists them")
    return lines + image_warnings(data) + box_warnings(report) + network_warnings(report) + noise(report["machine"])


def image_warnings(data: Json) -> list[str]:
    """Warnings on files that were not read and images that count once; older reports know of neither."""
    lines = []
    left_out, copies = data.get("left_out") or {}, data.get("copies") or {}
    if photos := left_out.get("photos"):
        first = left_out["listed"][0]
        lines.append(
            f"what looks like photos was left out: {counted(photos)}, the first {first['file']}: {first['reason']}; "
            "report.json lists it"
        )
    if count := copies.get("count"):
        first = copies["listed"][0]
        said = "1 test image is a copy and does" if count == 1 else f"{count} test images are copies and do"
        lines.append(
            f"{said} not count, the first {first['file']}, the same picture as {first['same_as']}; report.json lists "
            f"{'it' if count == 1 else 'them'}"
        )
    return lines


def box_warnings(report: Json) -> list[str]:
    """The warning on boxes of a detector's data that cannot be used."""
    line = boxes_line(report)
    if line is None:
        return []
    first = report["boxes"]["listed"][0]
    return [f"{line}, the first {first['file']}: {first['problem']}; report.json lists them"]


def network_warnings(report: Json) -> list[str]:
    """Warnings on the network, its integers and its input, a line each."""
    lines = [
        *_guessing(report),
        *_killed(report.get("health") or {}),
        *_fed_otherwise(report),
        *_refused_by_mediapipe(report),
    ]
    for entry in report["artifacts"]:
        lines += [f"{entry['file']}: {problem}" for problem in _problems(entry, report["reference"])]
    unsettled = (report.get("qat") or {}).get("unsettled", [])
    if unsettled:
        lines.append(f"training moved {len(unsettled)} activation tensors out of their ranges: " + ", ".join(unsettled))
    return lines + _stored_badly(report)


def noise(machine: Json) -> list[str]:
    """The warning that latencies are not to be trusted; none on a quiet machine."""
    reason = machine["noise"]
    return [f"these latencies are not to be trusted: {reason}"] if reason else []


def _guessing(report: Json) -> list[str]:
    guesses = [gate for gate in report["gates"] if gate["name"] == "above_chance" and gate["value"] is not None]
    if not guesses or guesses[0]["passed"]:
        return []
    reference, text = report["reference"], text_of(report)
    told = reference
    if reference["precision"] is None:
        told = next((entry for entry in report["artifacts"] if entry["file"] == guesses[0]["subject"]), reference)
        who = str(guesses[0]["subject"])
    elif reference["precision"] in (Precision.FP32, Precision.FP16):
        who = "the float network itself"
    else:
        who = f"the reference, {reference['name']} ({reference['precision']}),"
    if report.get("model", {}).get("trained_here"):
        return [
            f"{who} reaches {text.guess(told, reference)}. It was trained here: does it need more --epochs, or other "
            "images?"
        ]
    return [
        f"{who} reaches {text.guess(told, reference)}. It was fed {fed(report['data'])}: does it expect something else "
        f"(--preprocess, --mean, --scale)? {text.orders}"
    ]


def _problems(entry: Json, reference: Json) -> list[str]:
    """What is wrong with one artifact's input, output or labels; reports of older versions say less."""
    given, wanted = entry["output"].get("kind"), reference.get("kind")  # detectors have none
    is_other = wanted is not None and given != wanted
    kinds = f"its scores are of another kind than the reference's, {given} and not {wanted}: apps read them otherwise"
    found = (
        entry["input"]["conflict"],
        entry["output"].get("conflict"),
        kinds if is_other else None,
        entry.get("labels_problem"),
    )
    return [problem for problem in found if problem]


def _killed(health: Json) -> list[str]:
    killed = health.get("killed", {})
    if not killed:
        return []
    return [
        f"{sum(killed.values())} channels are zero on every image in int8 and are not in float: "
        + ", ".join(f"{count} of {site}" for site, count in killed.items())
    ]


def _fed_otherwise(report: Json) -> list[str]:
    """Warn of a normalization that does clearly better, where no option states one."""
    tried = report.get("tried_normalizations")
    if not tried:
        return []
    found, assumed = tried["top1"], tried.get("assumed", MOBILENET_NAME)
    best = max(found, key=found.get)
    if found[best] - found[assumed] <= _CLEARLY_BETTER:
        return []
    why = (
        f"does not say what it expects and was fed {fed(report['data'])}"
        if assumed == MOBILENET_NAME
        else "rescales its input, which was taken for bytes"
    )
    return [
        f"the model {why}, which gave top-1 {found[assumed]:.1%} on {tried['samples']} images; with --preprocess "
        f"{best} it gives {found[best]:.1%}"
    ]


def _refused_by_mediapipe(report: Json) -> list[str]:
    """Warn of .tflite files made here that MediaPipe does not take."""
    files = [entry for entry in report["artifacts"] if entry["format"] == "tflite"]
    refused = [entry["file"] for entry in files if not _is_for_mediapipe(entry["input"])]
    if not refused or "options" not in report:
        return []
    others = "" if len(refused) == len(files) else "; it takes the others"
    return [
        f"MediaPipe's {text_of(report).mediapipe} takes colour images, red first, of one mean and one std for all "
        f"channels, and refuses {', '.join(refused)}{others}"
    ]


def _is_for_mediapipe(source: Json) -> bool:
    return source["channel_order"] == "RGB" and len(set(source["mean"])) == len(set(source["std"])) == 1


def _stored_badly(report: Json) -> list[str]:
    """Warn of tensors whose ranges do not suit their values; not of the input, nor of logits cut on purpose."""
    calibration = report.get("calibration") or {"sites": [], "corrections": []}
    sites = calibration["sites"][1:]
    if "logits" in calibration["corrections"]:
        on_purpose = text_of(report).cut_on_purpose([site["site"] for site in sites])
        sites = [site for site in sites if site["site"] not in on_purpose]
    clipped = [site for site in sites if site["clipped"] > _MOST_CLIPPED]
    coarse = [site for site in sites if _CODES - site["unused_codes"] < _FEWEST_CODES]
    lines = []
    if clipped:
        worst = max(clipped, key=lambda site: site["clipped"])
        lines.append(
            f"{len(clipped)} activation tensors cut more than {_MOST_CLIPPED:.0%} of their values, most of all "
            f"{worst['site']} ({worst['clipped']:.1%}): does --observer {Observer.MINMAX} do better?"
        )
    if coarse:
        worst = max(coarse, key=lambda site: site["unused_codes"])
        lines.append(
            f"{len(coarse)} activation tensors use fewer than {_FEWEST_CODES} of {_CODES} codes on the calibration "
            f"images, least of all {worst['site']} ({_CODES - worst['unused_codes']}): does --observer "
            f"{Observer.AUTO} do better?"
        )
    return lines
