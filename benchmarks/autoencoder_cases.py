"""Which codes of Hopper policies are compared: layers, sizes, methods, and what they learn from."""

from __future__ import annotations

from typing import Any, NamedTuple

SOLVED = 1_000.0
"""Mean return from which a policy counts as one that solved the task."""
SIZES = (8, 16, 32, 64)
METHODS = ("autoencoder", "output PCA", "PCA", "random")
"""Autoencoders start at "output PCA", principal components in the metric of the outputs."""
EVERY_SIZE = ("autoencoder", "PCA", "random")
"""Those that encode with every size."""
DRAWN = ((("0", 32),), (("2", 8),), (("0", 64), ("2", 16)))
"""Layers and sizes that the pictures show, and with which all parts of the zoo are encoded: each
layer in isolation, and both."""


class Case(NamedTuple):
    """One way to encode some layers.

    Attributes:
        selection: "all" policies of the zoo, or the "solved" ones.
        groups: what the split into training, validation and test keeps together: "networks" (each
            on its own) or "runs".
        sizes: layers and the lengths of their codes.
        aligned: whether hidden units are aligned first.
        method: one of METHODS.
    """

    selection: str
    groups: str
    sizes: tuple[tuple[str, int], ...]
    aligned: bool
    method: str

    @property
    def layers(self) -> str:
        """The layers by name, with a plus between them."""
        return "+".join(name for name, _ in self.sizes)

    @property
    def name(self) -> str:
        """Key of the record."""
        order = "aligned" if self.aligned else "as-is"
        size = "+".join(str(size) for _, size in self.sizes)
        return f"{self.selection}-{self.groups}-{self.layers}-{size}-{order}-{self.method}"

    @property
    def is_drawn(self) -> bool:
        """Whether a picture shows it, for which training policies act too."""
        return self.method == "autoencoder" and self.sizes in DRAWN

    def describe(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**self._asdict(), "sizes": dict(self.sizes), "layers": self.layers}


def layer_sizes(size: int) -> list[tuple[tuple[str, int], ...]]:
    """Return each layer with a code of that size, and both with a quarter of it for the second."""
    return [(("0", size),), (("2", size),), (("0", size), ("2", size // 4))]


def planned_cases() -> list[Case]:
    """Return all cases: every size and method on the whole zoo, fewer on the other parts."""
    grid = [sizes for size in SIZES for sizes in layer_sizes(size)]
    cases = [
        Case("all", "networks", sizes, aligned, method)
        for sizes in (*DRAWN, *(sizes for sizes in grid if sizes not in DRAWN))
        for aligned in (False, True)
        for method in METHODS
        if sizes in DRAWN or method in EVERY_SIZE
    ]
    cases += [
        Case(selection, groups, sizes, aligned, method)
        for selection, groups in (("all", "runs"), ("solved", "networks"), ("solved", "runs"))
        for sizes in DRAWN
        for aligned in (False, True)
        for method in METHODS[:3]
    ]
    return cases
