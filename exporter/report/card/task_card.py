"""What a model card asks of its report's task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mbexport.report.formatting import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCard:
    """What the card of a network for one task says.

    - `tag`, `title`: what the Hugging Face Hub calls the task; `metric` is its type of the numbers, which stand in the
      report under the keys of `metrics` and have these titles.
    - `about(report)`: what the network is and gives.
    - `feeding(report)`: paragraphs on how a picture is fed and how the answer is read.
    - `output(entry)`: what comes out of an artifact.
    - `made(report)`: sentences on what was decided from the data before the training.
    - `scope(report)`, `differences(report)`, `published(report)`: sentences on what the figures do not say, on how
      files answer, and on what others published.
    - `speeds(report)`: sentences on latencies.
    - `classes(artifacts)`: a table in Markdown of the classes that lost most, below `classes_title`; empty without any.
    """

    tag: str
    title: str
    metric: str
    metrics: Mapping[str, str]
    about: Callable[[Json], str]
    feeding: Callable[[Json], list[str]]
    output: Callable[[Json], str]
    made: Callable[[Json], list[str]]
    scope: Callable[[Json], list[str]]
    differences: Callable[[Json], list[str]]
    published: Callable[[Json], list[str]]
    speeds: Callable[[Json], list[str]]
    classes: Callable[[Sequence[Json]], str]
    classes_title: str
