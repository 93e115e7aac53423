"""What a controller can be told: targets, penalties and limits of what a structure costs."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from structured_layers import ChromaticLinear, MaskedLinear, Palette, StructuredLayersError, mlp
from structured_layers.algorithms import (
    BitCount,
    Coloring,
    EdgeCount,
    EdgeMask,
    EdgeSubset,
    Latency,
    Limit,
    MultiplicationCount,
    ParetoArchive,
    Penalty,
    SearchSpace,
    TargetEdges,
    UnitActivationChoice,
)
from structured_layers.algorithms.deployed_costs import OperationCount
from structured_layers.algorithms.pareto import non_dominated
from structured_layers.metrics import summarize
from structured_layers.networks import SkipMLP
from structured_layers.topology import vector_to_topology

GENERATOR = torch.Generator().manual_seed(0)


def masks(*counts: int, size: int = 10) -> Tensor:
    return torch.stack([torch.arange(size).lt(count).long() for count in counts])


def test_the_target_follows_the_formula() -> None:
    decisions, returns = masks(1, 4, 8, 10), torch.tensor([100.0, 100.0, 100.0, 50.0])
    hard = TargetEdges(EdgeMask(10), 4)(decisions, returns)
    torch.testing.assert_close(hard, torch.tensor([100.0, 100.0, 50.0, 20.0]).double())
    soft = TargetEdges(EdgeMask(10), 4, exponents=(-0.07, -0.07))(decisions, returns)
    ratios = torch.tensor([1, 4, 8, 10]).double() / 4
    torch.testing.assert_close(soft, returns.double() * ratios**-0.07)
    shifted = TargetEdges(EdgeMask(10), 4, shift=1000.0)(decisions, -returns)
    torch.testing.assert_close(shifted[2:], torch.tensor([900.0 / 2, 950.0 * 0.4]).double())


def test_a_network_without_edges_has_a_finite_objective() -> None:
    value = TargetEdges(EdgeMask(10), 4, exponents=(-1.0, -1.0))(masks(0), torch.ones(1))
    assert float(value) == 4.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": 0}, "target_edges must be an integer of at least 1, .* divides by it, got 0"),
        ({"target": 2.5}, "target_edges must be an integer"),
        ({"exponents": (0.0, 1.0)}, "must not reward edges beyond the target"),
        ({"exponents": (-1.0, 0.0)}, "must not reward edges beyond the target"),
        ({"exponents": (0.0, float("nan"))}, "two finite numbers"),
        ({"exponents": (0.0, 0.0)}, "0 0 leave the return as it is"),
        ({"shift": float("inf")}, "objective_shift must be finite"),
        ({"target": 10}, "target_edges must be less than all 10 edges .* got 10"),
        ({"target": 11, "exponents": (-1.0, -1.0)}, "less than all 10 edges .* got 11"),
        (
            {"space": Coloring(10, 4) * EdgeMask(10) * UnitActivationChoice(9), "target": 10},
            "less than all 10 edges",
        ),
        ({"space": EdgeSubset(10, 4)}, "all of this EdgeSubset have 4; take an EdgeMask"),
        ({"space": Coloring(10, 4)}, "all of this Coloring have 10"),
    ],
)
def test_impossible_targets(arguments: dict, message: str) -> None:
    given = {"space": EdgeMask(10), "target": 4, **arguments}
    with pytest.raises(StructuredLayersError, match=message):
        TargetEdges(**given)


def test_a_target_of_all_edges_can_reward_fewer() -> None:
    objective = TargetEdges(EdgeMask(10), 10, exponents=(-0.5, -0.5))
    assert objective(masks(10, 4), torch.ones(2)).diff() > 0


def test_penalties_and_limits() -> None:
    decisions, returns = masks(2, 5, 6, 10), torch.tensor([1.0, 4.0, 100.0, 7.0])
    count = EdgeCount(EdgeMask(10))
    torch.testing.assert_close(
        Penalty(count, 0.5)(decisions, returns), torch.tensor([0.0, 1.5, 97.0, 2.0]).double()
    )
    limited = Limit(count, 5)(decisions, returns)
    assert limited[:2].tolist() == [1.0, 4.0]  # within: the return
    assert limited[3] < limited[2] < returns.min()  # beyond: the cheaper one is better
    alone = Limit(count, 5).alone(decisions, returns)
    assert alone[:2].tolist() == [1.0, 4.0]
    assert alone[3] < alone[2] < -1e11
    for make in (Penalty, Limit):
        for number in (0.0, -1.0, float("inf")):
            with pytest.raises(StructuredLayersError, match="must be a positive, finite number"):
                make(count, number)


def test_a_limit_holds_across_generations() -> None:
    limit = Limit(EdgeCount(EdgeMask(10)), 5)
    early = limit(masks(4, 5), torch.tensor([10.0, -3.0]))
    late = limit(masks(6, 9, 5), torch.tensor([1000.0, 3000.0, 2000.0]))
    assert late[1] < late[0] < early.min()  # whatever they return
    assert late[2] == 2000
    resumed = Limit(EdgeCount(EdgeMask(10)), 5)
    resumed.load_state_dict(limit.state_dict())
    again = masks(7, 10), torch.tensor([50.0, -70.0])
    assert torch.equal(resumed(*again), limit(*again))


def network_and_space(kind: str) -> tuple[nn.Module, SearchSpace]:
    palette = partial(ChromaticLinear, palette=Palette(3))
    if kind == "masked":
        network = mlp(5, [4], 2, layer=MaskedLinear)
    elif kind == "skip":
        network = SkipMLP(5, [4], 2, layer=palette)
    else:
        network = mlp(5, [4], 2, layer=palette)
    kept = "any" if kind != "coloring" else None
    return network, SearchSpace.of(network, num_kept=kept)


KINDS = ("masked", "coloring", "colored mask", "skip")
each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
def test_edges_and_bits_are_those_of_the_network(kind: str) -> None:
    network, space = network_and_space(kind)
    decisions = space.sample(6, torch.Generator().manual_seed(1))
    edges = EdgeCount(space)(decisions)
    counted = {
        scheme: BitCount(network, space, scheme=scheme, memory=4)
        for scheme in ("paper", "bitmask", "coordinates", "entropy")
    }
    bits = {scheme: count(decisions) for scheme, count in counted.items()}
    for row, topology in enumerate(space.decode(decisions)):
        vector_to_topology(topology, network)
        weights = [layer.weight for layer in network.modules() if hasattr(layer, "topology_names")]
        assert edges[row] == sum(int((weight != 0).sum()) for weight in weights)
        summary = summarize(network)
        assert {scheme: bits[scheme][row] for scheme in bits} == {
            scheme: summary.bits[scheme] for scheme in bits
        }
    assert torch.equal(counted["bitmask"](decisions), bits["bitmask"])  # also beyond its memory


def slow_operations(network: nn.Module) -> tuple[int, int]:
    """Count products of different weights and sums of terms, unit by unit."""
    multiplies = adds = 0
    for layer in network.modules():
        if not isinstance(layer, (MaskedLinear, ChromaticLinear)):
            continue
        for unit in range(layer.out_features):
            if isinstance(layer, ChromaticLinear):
                colors = [color for color in layer.colors[unit].tolist() if color >= 0]
                multiplies += len(set(colors))
            else:
                colors = layer.mask[unit].nonzero().tolist()
                multiplies += len(colors)
            terms = len(colors)
            adds += max(terms - 1, 0) + (terms > 0 and layer.bias is not None)
    return multiplies, adds


@each_kind
def test_operations_are_counted_unit_by_unit(kind: str) -> None:
    network, space = network_and_space(kind)
    decisions = space.sample(6, torch.Generator().manual_seed(2))
    if kind == "masked":
        decisions[0] = 0
    multiplies, adds = OperationCount(network, space)(decisions)
    for row, topology in enumerate(space.decode(decisions)):
        vector_to_topology(topology, network)
        assert (multiplies[row], adds[row]) == slow_operations(network)
    assert torch.equal(MultiplicationCount(network, space)(decisions), multiplies)
    seconds = Latency(network, space, multiply=2e-9, add=1e-9, overhead=1e-6)(decisions)
    torch.testing.assert_close(seconds, 2e-9 * multiplies + 1e-9 * adds + 1e-6)
    with pytest.raises(StructuredLayersError, match="add must be seconds of at least 0, got -1"):
        Latency(network, space, multiply=1.0, add=-1)


def test_unknown_ways_to_count_bits() -> None:
    network, space = network_and_space("masked")
    with pytest.raises(StructuredLayersError, match="scheme must be one of bitmask, .*, got 'zip'"):
        BitCount(network, space, scheme="zip")


points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


def brute_force(rows: list[tuple[int, int]]) -> set[tuple[int, int]]:
    return {
        (value, cost) for value, cost in rows
        if not any(v >= value and c <= cost and (v, c) != (value, cost) for v, c in rows)
    }  # fmt: skip


@given(points)
def test_the_front_is_that_of_brute_force(rows: list[tuple[int, int]]) -> None:
    returns, costs = torch.tensor(rows).reshape(-1, 2).unbind(dim=1)
    kept = non_dominated(returns, costs).nonzero()[:, 0].tolist()
    assert {rows[i] for i in kept} == brute_force(rows)
    assert len({rows[i] for i in kept}) == len(kept)
    assert all(rows.index(rows[i]) == i for i in kept)  # the first of equal ones


@given(st.lists(points, max_size=4))
def test_an_archive_needs_no_more_than_its_front(batches: list[list[tuple[int, int]]]) -> None:
    archive = ParetoArchive(lambda decisions: decisions[:, 0].double())
    for generation, rows in enumerate(batches):
        table = torch.tensor(rows).reshape(-1, 2)
        archive.observe(table[:, 1:], table[:, 0], generation)
    every = [row for rows in batches for row in rows]
    front = list(zip(archive.returns.int().tolist(), archive.costs.int().tolist(), strict=True))
    assert set(front) == brute_force(every)
    assert len(front) == len(set(front)) == len(archive)
    other = ParetoArchive(archive.cost)
    other.load_state_dict(archive.state_dict())
    assert torch.equal(other.decisions, archive.decisions)


def test_costs_that_are_no_costs_are_refused() -> None:
    archive = ParetoArchive(lambda decisions: decisions.double())
    with pytest.raises(
        StructuredLayersError, match=r"a cost must return .* \(2,\), .* got \(2, 10\)"
    ):
        archive.observe(masks(1, 2), torch.zeros(2), 1)
    assert len(archive) == 0
