"""Write the YAML that the Hugging Face Hub reads at the head of a model card."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mbexport.escaping.characters import LONGEST_NAME, one_line
from mbexport.report.card.registry import card_of
from mbexport.report.card.task_card import TaskCard
from mbexport.report.formatting import Json, model_name

# The identifiers of https://huggingface.co/docs/hub/repositories-licenses that are of a software or data licence.
_LICENCES: Final = (
    *("apache-2.0", "mit", "openrail", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd", "bsd-2-clause"),
    *("bsd-3-clause", "bsd-3-clause-clear", "c-uda", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0"),
    *("cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"),
    *("cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0"),
    *("cc-by-nc-sa-4.0", "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0"),
    *("epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl"),
    *("lgpl-2.1", "lgpl-3.0", "isc", "lppl-1.3c", "ms-pl", "mpl-2.0", "odc-by", "odbl", "osl-3.0"),
    *("postgresql", "ofl-1.1", "ncsa", "unlicense", "zlib", "pddl", "lgpl-lr"),
)
_UNKNOWN, _OTHER = "unknown", "other"  # of the same list


def front_matter(report: Json, *, licence: str | None, base_model: str | None) -> str:
    """Write the block between two lines of dashes, by https://github.com/huggingface/hub-docs/blob/main/modelcard.md.

    Accuracies stand in `model-index` as fractions, those of each file by its name; without labels there are none.
    `base_model` is the Hub's name of the network that this one was made from, None where it is not known.
    """
    formats = dict.fromkeys(entry["format"] for entry in report["artifacts"])
    precisions = dict.fromkeys(entry["precision"] for entry in report["artifacts"])
    card = card_of(report)
    header: dict[str, Any] = {**_licence(licence), "library_name": "litert", "pipeline_tag": card.tag}
    if base_model:
        is_finetuned = report["model"].get("trained_here")
        header |= {"base_model": base_model, "base_model_relation": "finetune" if is_finetuned else "quantized"}
    header["tags"] = ["vision", card.tag, "mobile", *formats, *precisions]
    name = report["data"]["name"]
    if name and report["model"].get("trained_here"):
        header["datasets"] = [_identifier(name, "dataset")]
    found = _metrics(report["artifacts"], card)
    if found:
        header |= {"metrics": [card.metric], "model-index": _index(report, found, card)}
    return "\n".join(["---", *_lines(header), "---", ""])


def _licence(licence: str | None) -> dict[str, str]:
    """The keys of a licence: `other` with a name of its own where the Hub does not list it, `unknown` for None."""
    if licence is None:
        return {"license": _UNKNOWN}
    plain = licence.strip().lower()
    if plain in _LICENCES:
        return {"license": plain}
    return {"license": _OTHER, "license_name": _identifier(licence, "custom").lower()}


def _index(report: Json, found: list[Json], card: TaskCard) -> list[Json]:
    name = report["data"]["name"] or "images"
    task = {"type": card.tag, "name": card.title}
    data = {"type": _identifier(name, "dataset"), "name": name}
    return [{"name": model_name(report), "results": [{"task": task, "dataset": data, "metrics": found}]}]


def _metrics(artifacts: Sequence[Json], card: TaskCard) -> list[Json]:
    return [
        {"type": card.metric, "value": round(entry[key], 4), "name": f"{title} of {entry['file']}", "verified": False}
        for entry in artifacts
        for key, title in card.metrics.items()
        if entry[key] is not None
    ]


def _identifier(text: str, otherwise: str) -> str:
    """Make the text a name that the Hub takes: ASCII letters and digits, dots and dashes between them."""
    kept = re.sub(r"[^a-zA-Z0-9.]+", "-", text)
    kept = re.sub(r"[.-]{2,}", "-", kept)[:LONGEST_NAME].strip(".-")
    return kept or otherwise


def _lines(value: Any, indent: str = "") -> Iterator[str]:
    """Write maps and lists as YAML, a line for each entry; texts as JSON strings, which YAML reads alike.

    What JSON and YAML allow in strings differs in control characters and line breaks only; `one_line` leaves none.
    """
    entries = value.items() if isinstance(value, Mapping) else ((None, entry) for entry in value)
    for key, entry in entries:
        head = indent + ("-" if key is None else f"{key}:")
        if isinstance(entry, Mapping | list):
            inner = list(_lines(entry, indent + "  "))
            # The first line of a map in a list stands behind the dash.
            yield from [head, *inner] if key is not None else [f"{head} {inner[0].lstrip()}", *inner[1:]]
        else:
            text = one_line(entry, 2 * LONGEST_NAME) if isinstance(entry, str) else entry
            yield f"{head} {json.dumps(text, ensure_ascii=False)}"
