"""Hidden units in another order are found again, and what a network computes never changes."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn
from torch.func import functional_call

from structured_layers import StructuredLayersError, mlp
from structured_layers.algorithms.latent import align, align_all, find_reference
from structured_layers.algorithms.latent.assignment import assign


@pytest.mark.parametrize("size", [1, 2, 7, 32])
@pytest.mark.parametrize("rounded", [False, True])
def test_an_assignment_costs_as_little_as_scipys(size: int, rounded: bool) -> None:
    cost = np.random.default_rng(size).normal(size=(size, size))
    cost = np.round(cost) if rounded else cost  # with ties
    columns = assign(cost)
    assert sorted(columns) == list(range(size))
    best = cost[linear_sum_assignment(cost)].sum()
    assert cost[np.arange(size), columns].sum() == pytest.approx(best)


@pytest.mark.parametrize("cost", [np.zeros((2, 3)), np.full((2, 2), np.nan)])
def test_what_is_no_cost(cost) -> None:
    with pytest.raises(StructuredLayersError, match="finite square matrix"):
        assign(cost)


def shuffled(network: nn.Sequential, flip: bool) -> dict[str, torch.Tensor]:
    """Return the parameters of an equal network with its hidden units in another order."""
    parameters = {name: p.detach().clone() for name, p in network.named_parameters()}
    linears = [name for name, m in network.named_children() if isinstance(m, nn.Linear)]
    for before, behind in zip(linears[:-1], linears[1:], strict=True):
        count = len(parameters[f"{before}.bias"])
        order = torch.randperm(count)
        signs = torch.where(torch.rand(count) < 0.5, -1.0, 1.0) if flip else torch.ones(count)
        parameters[f"{before}.weight"] = parameters[f"{before}.weight"][order] * signs[:, None]
        parameters[f"{before}.bias"] = parameters[f"{before}.bias"][order] * signs
        parameters[f"{behind}.weight"] = parameters[f"{behind}.weight"][:, order] * signs
    return parameters


@pytest.mark.parametrize("hidden", [[8], [8, 5]])
@pytest.mark.parametrize(("activation", "flip"), [(nn.Tanh, True), (nn.ReLU, False)])
def test_an_equal_network_is_brought_back(hidden, activation, flip: bool) -> None:
    torch.manual_seed(0)
    network = mlp(4, hidden, 3, activation=activation)
    reference = {name: p.detach() for name, p in network.named_parameters()}
    aligned = align(network, shuffled(network, flip), reference)
    for name, value in reference.items():
        torch.testing.assert_close(aligned[name], value)


@pytest.mark.parametrize("hidden", [[8], [8, 5]])
def test_aligned_networks_compute_the_same(hidden) -> None:
    torch.manual_seed(0)
    network, other = mlp(4, hidden, 3), mlp(4, hidden, 3)
    reference = {name: p.detach() for name, p in network.named_parameters()}
    parameters = {name: p.detach() for name, p in other.named_parameters()}
    aligned = align(network, parameters, reference)
    states = torch.randn(20, 4)
    torch.testing.assert_close(functional_call(network, aligned, (states,)), other(states))

    def distance(values) -> float:
        return float(sum((values[n] - reference[n]).square().sum() for n in reference))

    assert distance(aligned) < distance(parameters)


def test_the_reference_is_the_mean_of_the_aligned() -> None:
    torch.manual_seed(0)
    network = mlp(4, [8], 3)
    copies = [shuffled(network, True) for _ in range(4)]
    stacked = {name: torch.stack([copy[name] for copy in copies]) for name in copies[0]}
    reference = find_reference(network, stacked)
    for name, value in align_all(network, stacked, reference).items():
        torch.testing.assert_close(value, reference[name].expand_as(value))


def test_what_cannot_be_aligned_is_named() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    parameters = dict(network.named_parameters())
    with pytest.raises(StructuredLayersError, match="1 is a torch.nn.modules.normalization"):
        align(network, parameters, parameters)
