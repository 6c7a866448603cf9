"""Which labels a Core ML package can have: it gives a dictionary of scores by label, so that none may come twice."""

from collections import Counter
from collections.abc import Sequence

from mbexport.errors import OptionError
from mbexport.formats.coreml.rows import PackageForm


def require_distinct(labels: Sequence[str], form: PackageForm) -> None:
    """Raise `OptionError` for labels of which two are alike: one score of them would be lost."""
    for label, count in Counter(labels).most_common(1):
        if count > 1:
            raise OptionError(
                f"--precision {form.name} keeps scores by label, so that labels must differ, got {label!r} {count} "
                "times: name the classes by --classes FILE"
            )
