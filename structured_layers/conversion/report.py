"""What a conversion changed, or would change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """The replacement of one layer.

    Attributes:
        name: full dotted name.
        before: the dense layer as text.
        after: the structured layer as text.
        error: Frobenius norm of the change of the weight, relative to that of the dense weight;
            None where fresh values were drawn.
    """

    name: str
    before: str
    after: str
    error: float | None


@dataclass(frozen=True)
class Conversion:
    """The report of a conversion; ``print`` shows it as a table.

    Attributes:
        changes: one for each replaced layer, in module order.
        dense_weights: weights of these layers before.
        weights: weights of these layers after, those that layers share counted once.
        dry_run: whether the module was left as it was.
    """

    changes: tuple[Change, ...]
    dense_weights: int
    weights: int
    dry_run: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The full dotted names of the replaced layers."""
        return tuple(change.name for change in self.changes)

    def __str__(self) -> str:
        """Return the table."""
        width = max((len(name) for name in self.names), default=0)
        lines = [f"{change.name:<{width}}  {_describe(change)}" for change in self.changes]
        verb = "would become" if self.dry_run else "became"
        lines.append(f"{self.dense_weights:,} weights {verb} {self.weights:,}")
        return "\n".join(lines)


def _describe(change: Change) -> str:
    error = "fresh values" if change.error is None else f"relative error {change.error:.3g}"
    return f"{change.before} -> {change.after}, {error}"
