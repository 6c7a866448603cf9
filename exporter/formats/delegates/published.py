"""A maker's published list of ops, and what it takes of a graph."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mbexport.formats.delegates.op import Op
from mbexport.formats.delegates.rules import Rule, first_reason

NOT_LISTED = "not in the list"
CUSTOM = "a custom op, which the list knows nothing of"
BEHIND = "behind the first op that is not taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedList:
    """The ops that a maker's documentation names, each with what it asks of them.

    `source` is the title of the document, `as_of` the version that was read. `rules` are for all ops. With
    `is_one_piece` nothing is taken behind the first op that is not. `note` is what else the document says.
    """

    source: str
    as_of: str
    ops: Mapping[str, tuple[Rule, ...]]
    rules: tuple[Rule, ...] = ()
    is_one_piece: bool = False
    note: str | None = None

    def reason(self, op: Op) -> str | None:
        """Why the op, by itself, is not taken; None if it is."""
        if op.is_custom:
            return CUSTOM
        if op.name not in self.ops:
            return NOT_LISTED
        return first_reason(op, (*self.rules, *self.ops[op.name]))

    def judged(self, ops: Sequence[Op]) -> list[str | None]:
        """Why each op of a graph, in its order, is not taken; None for one that is."""
        reasons, is_behind = [], False
        for op in ops:
            why = self.reason(op)
            reasons.append(BEHIND if why is None and is_behind else why)
            is_behind = is_behind or (self.is_one_piece and why is not None)
        return reasons

    def fitness(self, ops: Sequence[Op]) -> dict[str, Any]:
        """What is taken of a graph, and which ops are not, why and how often."""
        reasons = self.judged(ops)
        refused = Counter((op.name, why) for op, why in zip(ops, reasons, strict=True) if why is not None)
        return {
            "source": self.source,
            "as_of": self.as_of,
            "note": self.note,
            "taken": reasons.count(None),
            "total": len(ops),
            "refused": [{"op": name, "count": count, "why": why} for (name, why), count in refused.items()],
        }
