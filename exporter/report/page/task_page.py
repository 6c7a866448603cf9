"""What the page asks of its report's task: sections, the quality that charts draw, tiles, what templates show."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mbexport.report.page.numbers import Json
from mbexport.report.page.tiles import Tile
from mbexport.report.page.view import NumberedArtifact

Pictures = Mapping[str, bytes]  # JPEG files by the names of images


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of the page: its id, its title in the contents, and its template.

    Without a template of its own it stands in that of the section before. `is_there(report, charts)` says whether it
    has anything to show; `charts` are the names of those that are drawn.
    """

    id: str
    title: str
    template: str | None
    is_there: Callable[[Json, Collection[str]], bool] = lambda _report, _charts: True


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """The quality that is drawn against size and latency: its key in an entry, its name, `scale` times its value.

    `title` begins that of a chart, whose `bars` are explained; `unit` stands behind the name there, and `text(value)`
    is how a value is read aloud.
    """

    key: str
    name: str
    title: str
    bars: str
    scale: float
    unit: str
    text: Callable[[float], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """The page of a report on one task.

    - `folder`: where the templates of its own lie, beside those of every page.
    - `styles`: the style sheets of its own.
    - `sections`: those of its page, in their order.
    - `measure(report)`: the quality that is drawn against costs.
    - `charts(report, artifacts)`: its own charts by name, None where the report lacks the numbers.
    - `tiles(report, files)`: its tiles on quality, on the `files` that tiles speak of.
    - `classes(reference)`: what is told of the classes of the test images.
    - `context(report, artifacts, pictures)`: the names that only its templates use.
    - `names`: what keys of the report are called, where that is not what others call them; None for what says nothing
      here.
    """

    folder: str
    styles: tuple[str, ...] = ()
    sections: tuple[Section, ...]
    measure: Callable[[Json], Measure]
    charts: Callable[[Json, Sequence[NumberedArtifact]], dict[str, str | None]]
    tiles: Callable[[Json, Sequence[Json]], list[Tile | None]]
    classes: Callable[[Json], str]
    context: Callable[[Json, Sequence[NumberedArtifact], Pictures], dict[str, Any]]
    names: Mapping[str, str | None] = field(default_factory=dict)


def has_layers(_report: Json, charts: Collection[str]) -> bool:
    """Whether anything is known of layers."""
    return "layers" in charts or "ranges" in charts


def has_pairs(report: Json, _charts: Collection[str]) -> bool:
    """Whether files or kernel paths were compared with each other, or what was compiled or simulated with others."""
    return bool(report["pairs"] or report["paths"] or report.get("npu") or report.get("coreml"))


GATES: Final = Section(id="gates", title="Gates", template="gates.j2")
ARTIFACTS: Final = Section(id="artifacts", title="Artifacts", template="artifacts.j2")
SPEED: Final = Section(id="speed", title="Speed", template="speed.j2")
PAIRS: Final = Section(id="paths", title="Pairs and paths", template=None, is_there=has_pairs)  # behind speed
LAYERS: Final = Section(id="layers", title="Layers", template="layers.j2", is_there=has_layers)
PROVENANCE: Final = Section(id="provenance", title="Provenance", template="provenance.j2")
