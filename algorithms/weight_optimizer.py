"""What moves the weights of a search, by the name of its optimizer."""

from __future__ import annotations

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .argument_checks import check_choice
from .covariance_adaptation import CovarianceAdaptation
from .gradient_sensing import OPTIMIZERS, GradientSensing, SensingOptions


def weight_optimizer(
    center: Tensor, popsize: int, generator: torch.Generator, options: SensingOptions
) -> GradientSensing | CovarianceAdaptation:
    """Return gradient sensing with an optimizer, or CMA-ES.

    Args:
        center: θ at the start, (d,).
        popsize: candidates of a generation.
        generator: of the search.
        options: as in :class:`~structured_layers.algorithms.ES`.

    Raises:
        StructuredLayersError: an unknown optimizer, or options that CMA-ES does not have.
    """
    check_choice("optimizer", options.get("optimizer", "adam"), (*OPTIMIZERS, "cmaes"))
    if options.get("optimizer") != "cmaes":
        return GradientSensing(center, popsize, generator, **options)
    unused = sorted(options.keys() - {"optimizer", "stdev_init"})
    if unused:
        raise StructuredLayersError(
            f"with optimizer='cmaes' there is no {', '.join(unused)}; only stdev_init is set"
        )
    return CovarianceAdaptation(
        center, popsize, generator, stdev_init=options.get("stdev_init", 0.1)
    )
