"""The labels of a Core ML package, which gives its scores as a dictionary by label: each must be another."""

from collections import Counter
from collections.abc import Sequence

from mbexport.errors import OptionError


def distinct_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels in their order, those of several classes with the number of the class, as `crane (134)`.

    ImageNet has two cranes and two maillots. Raises `OptionError` where that makes a label which another class has.
    """
    counts = Counter(labels)
    found = tuple(f"{label} ({place})" if counts[label] > 1 else label for place, label in enumerate(labels))
    label, count = Counter(found).most_common(1)[0]
    if count > 1:
        raise OptionError(
            f"Core ML keeps scores by label, so that labels must differ, got {label!r} {count} times once labels alike "
            "have the number of their class: name the classes by --classes FILE"
        )
    return found
