"""The estimators as a search uses them: which evaluations each needs, under one signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .gradient_estimators import antithetic, forward_difference, vanilla


@dataclass(frozen=True)
class Estimator:
    """An estimator of the gradient and the evaluations that it needs.

    Args:
        function: takes the values as ``mirrored`` and ``needs_center`` say, then the directions
            (N, d) and σ, and the keywords ``baseline`` and ``slope``: see
            :mod:`~structured_layers.algorithms.gradient_estimators`.
        mirrored: whether each direction is evaluated with both signs; the function then takes
            values_plus and values_minus, (N,) each, instead of values.
        needs_center: whether the function takes F(θ) after the values.
    """

    function: Callable[..., Tensor]
    mirrored: bool = True
    needs_center: bool = False

    def __call__(
        self,
        values: Tensor,
        center_value: Tensor | None,
        directions: Tensor,
        stdev: float,
        *,
        slope: Tensor | None = None,
    ) -> Tensor:
        """Return the gradient (d,) from the values of all candidates, pairs in turn."""
        parts = [values[0::2], values[1::2]] if self.mirrored else [values]
        center = [center_value] if self.needs_center else []
        return self.function(*parts, *center, directions, stdev, slope=slope)


ESTIMATORS: dict[str, Estimator] = {
    "antithetic": Estimator(antithetic),
    "forward": Estimator(forward_difference, mirrored=False, needs_center=True),
    "vanilla": Estimator(vanilla, mirrored=False),
}


def resolve_estimator(estimator: str | Estimator | Callable[..., Tensor]) -> Estimator:
    """Return the estimator of this name; a function is taken to be called as ``antithetic`` is.

    Raises:
        StructuredLayersError: an unknown name.
    """
    if isinstance(estimator, Estimator):
        return estimator
    if callable(estimator):
        return Estimator(estimator)
    if estimator not in ESTIMATORS:
        raise StructuredLayersError(
            f"estimator must be one of {', '.join(ESTIMATORS)}, an Estimator or a function, got "
            f"{estimator!r}"
        )
    return ESTIMATORS[estimator]
