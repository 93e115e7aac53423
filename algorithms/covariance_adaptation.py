"""Weights by CMA-ES, for networks of some tens of weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from structured_layers.errors import (
    CheckpointError,
    MissingDependencyError,
    StructuredLayersError,
)

from .argument_checks import check_integer, check_positive


class CovarianceAdaptation:
    """Asks for θ + σ·N(0, C) and adapts θ, σ and C to the ranks of the fitnesses.

    It has the methods of :class:`~structured_layers.algorithms.gradient_sensing.GradientSensing`.
    One generation takes O(d³) operations, its state d² numbers. The package ``cmaes`` does the
    work; its random draws are seeded anew in every generation from the search's generator.

    Args:
        center: θ at the start, (d,).
        popsize: candidates per generation, at least 4.
        generator: the seed of each generation is drawn from it.
        stdev_init: σ at the start; C starts as the identity.

    Raises:
        MissingDependencyError: ``cmaes`` is not installed.

    Reference:
        Hansen, The CMA Evolution Strategy: A Tutorial, 2016 (arXiv 1604.00772).
    """

    needs_center = False
    mirrored = False
    perturbation = None

    def __init__(
        self,
        center: Tensor,
        popsize: int,
        generator: torch.Generator,
        *,
        stdev_init: float = 0.1,
    ) -> None:
        """Start at ``center``."""
        try:
            from cmaes import CMA
        except ImportError as error:
            raise MissingDependencyError("optimizer='cmaes'", "cmaes") from error
        check_positive("stdev_init", stdev_init)
        # with fewer the rank-µ update has no weights, and its step size would divide by zero
        check_integer("popsize", popsize, 4)
        if len(center) < 2:
            raise StructuredLayersError("CMA-ES needs at least 2 weights; take another optimizer")
        self._dtype, self._generator = center.dtype, generator
        self._make = partial(CMA, sigma=float(stdev_init), population_size=int(popsize))
        self.move_to(center)
        self.update_norm = 0.0

    def move_to(self, center: Tensor) -> None:
        """Begin at weights (d,), with the first σ and C."""
        self._cma = self._make(center.double().numpy().copy())
        state = self._cma.__getstate__()  # its history of losses begins as whatever memory held
        state["_funhist_values"] = np.zeros_like(state["_funhist_values"])
        self._cma.__setstate__(state)
        self._asked = np.empty((0, len(center)))

    def kind(self) -> dict[str, Any]:
        """Return what a state of this object depends on."""
        return {"optimizer": "cmaes", "popsize": int(self._cma.population_size)}

    @property
    def center(self) -> Tensor:
        """θ, (d,)."""
        return torch.from_numpy(self._cma.mean.copy()).to(self._dtype)

    @property
    def stdev(self) -> float:
        """σ, by which C is scaled."""
        return float(self._cma.__getstate__()["_sigma"])

    def ask(self, generation: int, out: Tensor) -> None:
        """Write the candidates of a generation into ``out``, (popsize, d)."""
        self._cma.reseed_rng(int(torch.randint(2**32 - 1, (), generator=self._generator)))
        rows = np.stack([self._cma.ask() for _ in range(self._cma.population_size)])
        weights = torch.from_numpy(rows).to(self._dtype)
        self._asked = weights.double().numpy()  # what was evaluated, after rounding
        out.copy_(weights)

    def tell(self, fitnesses: Tensor, center_fitness: Tensor | None) -> None:
        """Adapt to the fitnesses (popsize,), of which higher ones are better."""
        before = self.center
        losses = (-fitnesses.double()).tolist()
        self._cma.tell(list(zip(self._asked, losses, strict=True)))
        # go on from the very numbers that a checkpoint would hold
        self._cma.__setstate__(self._cma.__getstate__())
        self.update_norm = float((self.center - before).norm())

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later generations depend on, but for the generator."""
        state = {name: _plain(value) for name, value in self._cma.__getstate__().items()}
        return {"center": self.center, "cmaes": state, "update_norm": self.update_norm}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned.

        Raises:
            CheckpointError: values of another search, or of none; nothing has changed.
        """
        own, given = self.state_dict()["cmaes"], state["cmaes"]
        if given.keys() != own.keys() or not all(_alike(given[name], own[name]) for name in own):
            raise CheckpointError("the state of CMA-ES has values that do not fit this search")
        self.update_norm = float(state.get("update_norm", 0.0))
        self._cma.__setstate__(
            {
                name: value.numpy().copy() if isinstance(value, Tensor) else value
                for name, value in state["cmaes"].items()
            }
        )


def _alike(given: Any, own: Any) -> bool:
    """Return whether two values have one type and shape; what is not computed yet is None."""
    if given is None or own is None:
        return True
    if isinstance(given, Tensor) and isinstance(own, Tensor):
        return given.shape == own.shape
    return type(given) is type(own)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    return value.item() if isinstance(value, np.generic) else value
