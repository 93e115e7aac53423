"""Linear codes of weights: principal components, with and without a metric, random projections."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

LinearCode = tuple[Tensor, Tensor]
"""Encoder (k, d) and decoder (d, k)."""
DAMPING = 1e-3


def principal_components(rows: Tensor, size: int, metric: Tensor | None = None) -> LinearCode:
    """Return the linear code of a given size that loses least of the rows.

    With the metric M the loss is the mean of (x − x̂)ᵀ M (x − x̂), without one the squared distance.
    Beyond the rank of the rows come directions that they do not have.

    Args:
        rows: (N, d), of mean zero.
        size: k, at most d.
        metric: (d, d), symmetric and positive semi-definite.
    """
    exact = rows.double()
    if metric is None:
        components = torch.linalg.svd(exact, full_matrices=True).Vh[:size]  # (k, d)
        return components.to(rows), components.T.to(rows)
    values, vectors = torch.linalg.eigh(metric.double())
    # Damped, so that directions without any effect on the outputs keep their distance too.
    roots = (values.clamp(min=0) + DAMPING * values.mean()).sqrt()
    root, inverse = (vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T
    components = torch.linalg.svd(exact @ root, full_matrices=True).Vh[:size]
    return (components @ root).to(rows), (inverse @ components.T).to(rows)


def random_projection(entries: int, size: int, generator: torch.Generator) -> LinearCode:
    """Return a random orthonormal code; its nearest code is the projection itself."""
    drawn = torch.randn(entries, size, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(drawn).Q.float()  # (d, k)
    return basis.T, basis


def output_metric(
    network: nn.Module, parameters: Mapping[str, Tensor], states: Tensor, name: str
) -> Tensor:
    r"""Return how much the outputs move when entries of one weight move.

    .. math:: M = \frac{1}{N S} \sum_{n, s} J_{ns}^\top J_{ns}, \quad J = \partial f(s) / \partial W

    Args:
        network: what the parameters are of.
        parameters: (N, ...) each.
        states: (S, in).
        name: of the weight, for instance ``0.weight``.

    Returns:
        (d, d) with d the entries of the weight.
    """
    count = len(parameters[name])
    entries = parameters[name][0].numel()
    metric = torch.zeros(entries, entries, dtype=torch.float64)
    for row in range(count):
        own = {key: value[row] for key, value in parameters.items()}

        def output(weight: Tensor, state: Tensor, own: dict[str, Tensor] = own) -> Tensor:
            result: Tensor = functional_call(network, {**own, name: weight}, (state,))
            return result

        jacobian = vmap(jacrev(output), in_dims=(None, 0))(own[name], states)
        rows = jacobian.reshape(-1, entries)
        metric += (rows.T @ rows).double() / (count * len(states))
    return metric
