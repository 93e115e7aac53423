"""Policies with a normaliser each, rewritten to act on the same normalised observations."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def fold_normalizer(
    parameters: Mapping[str, Tensor],
    name: str,
    own: tuple[Tensor, Tensor],
    shared: tuple[Tensor, Tensor],
) -> dict[str, Tensor]:
    r"""Return parameters with which a network acts on a shared normaliser as before on its own.

    .. math:: W' = W \, \mathrm{diag}(s / \sigma), \quad b' = b + W (m - \mu) / \sigma

    since (o − μ)/σ = (s/σ)·(o − m)/s + (m − μ)/σ. Nothing is lost but the rounding of the weights,
    which keep their type.

    Args:
        parameters: by name; the layer must have a bias.
        name: of the first layer.
        own: mean μ and standard deviation σ, (obs,) each.
        shared: mean m and standard deviation s, (obs,) each.
    """
    (mean, std), (shared_mean, shared_std) = own, shared
    weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
    exact = weight.double()
    folded = dict(parameters)
    folded[f"{name}.weight"] = (exact * (shared_std / std)).to(weight.dtype)
    folded[f"{name}.bias"] = (bias.double() + exact @ ((shared_mean - mean) / std)).to(bias.dtype)
    return folded
