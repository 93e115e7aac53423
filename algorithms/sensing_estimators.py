"""The estimators as a search uses them: which evaluations each needs, under one signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .gradient_estimators import antithetic, forward_difference, vanilla
from .saved_states import name_of


@dataclass(frozen=True)
class Estimator:
    """An estimator of the gradient and the evaluations that it needs.

    Args:
        function: ``(values_plus, values_minus, directions, stdev)`` → (d,), with values of shape
            (N,), directions (N, d) and the number σ. With ``mirrored=False`` one argument
            ``values`` (N,) stands for the first two, and with ``needs_center`` the argument
            ``center_value``, a tensor of no dimensions, follows them. A search with ``slope=True``
            passes the keyword ``slope`` (d,) besides, see
            :mod:`~structured_layers.algorithms.gradient_estimators`; other searches do not.
        mirrored: whether each direction is evaluated with both signs.
        needs_center: whether the function takes F(θ) after the values.
        takes_blocks: whether ``directions`` may be an iterable of blocks (n, d) instead, in their
            order and each valid until the next one, so that they are never all in memory.
    """

    function: Callable[..., Tensor]
    mirrored: bool = True
    needs_center: bool = False
    takes_blocks: bool = False

    @property
    def name(self) -> str:
        """The name of the function."""
        return name_of(self.function)

    def __call__(
        self,
        values: Tensor,
        center_value: Tensor | None,
        directions: Iterable[Tensor],
        stdev: float,
        *,
        slope: Tensor | None = None,
    ) -> Tensor:
        """Return the gradient (d,) from the values of all candidates, pairs in turn."""
        parts = [values[0::2], values[1::2]] if self.mirrored else [values]
        center = [center_value] if self.needs_center else []
        if not self.takes_blocks:
            blocks = [block.clone() for block in directions]
            directions = torch.cat(blocks) if len(blocks) > 1 else blocks[0]
        variates = {} if slope is None else {"slope": slope}
        return self.function(*parts, *center, directions, stdev, **variates)

    def takes_slope(self) -> bool:
        """Return whether the function has a keyword ``slope``, as far as it says."""
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError):  # it does not say
            return True
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return any(
            p.kind is inspect.Parameter.VAR_KEYWORD or (p.name == "slope" and p.kind in named)
            for p in parameters
        )


ESTIMATORS: dict[str, Estimator] = {
    "antithetic": Estimator(antithetic, takes_blocks=True),
    "forward": Estimator(forward_difference, mirrored=False, needs_center=True, takes_blocks=True),
    "vanilla": Estimator(vanilla, mirrored=False, takes_blocks=True),
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
    if not isinstance(estimator, str) or estimator not in ESTIMATORS:
        raise StructuredLayersError(
            f"estimator must be one of {', '.join(ESTIMATORS)}, an Estimator or a function, got "
            f"{estimator!r}"
        )
    return ESTIMATORS[estimator]
