"""The strategy that removes edges while it trains: which ones go, when, and how it goes on."""

from typing import Any

import pytest
import torch
from evotorch import Problem
from run_folders import assert_same_run
from torch import nn

from structured_layers import MaskedLinear, StructuredLayersError, load_policy, mlp
from structured_layers.algorithms import EdgeMask, EdgeSubset, MagnitudePruning
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.integrations.evotorch.best_center import BestCenter
from structured_layers.integrations.evotorch.dense_phase import dense_config
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig
from structured_layers.metrics import summarize
from structured_layers.topology import topology_to_vector

DRIFT = "drift_envs:Drift-v0"


class Target(Problem):
    """Pays for parameters near those of a hidden network, of which few edges are not zero."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network: Any = mlp(4, [3], 2, layer=MaskedLinear)
        self.search_space = EdgeMask(18)
        self.d = sum(p.numel() for p in self.network.parameters())
        self.edges = torch.cat([3 + torch.arange(12), 15 + 2 + torch.arange(6)])  # behind biases
        self.goal = torch.zeros(self.d)
        self.goal[self.edges[torch.tensor([0, 5, 11, 14, 17])]] = 1.0
        super().__init__("max", solution_length=self.d + 18, initial_bounds=(-1, 1))

    def _evaluate_batch(self, solutions) -> None:
        weights, mask = self.split(solutions.values)
        weights = weights.clone()
        weights[:, self.edges] *= mask
        solutions.set_evals(-((weights - self.goal) ** 2).sum(dim=1))

    def split(self, values):
        values = values.as_subclass(torch.Tensor)
        return values[:, : self.d], values[:, self.d :]


class Clock:
    """The progress of a training that somebody else counts."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def search(num_kept: int = 5, **options) -> MagnitudePruning:
    settings = {"popsize": 30, "num_center_evaluations": 1, "seed": 0, "center_learning_rate": 0.05}
    return MagnitudePruning(Target(), num_kept, **{**settings, **options})


def test_edges_go_in_the_last_third_but_one_tenth_of_the_training() -> None:
    clock = Clock()
    strategy = search(5, progress=clock)
    found = []
    for now in (0.0, 0.6, 0.675, 0.75, 0.825, 0.9, 1.0):
        clock.now = now
        strategy.step()
        found.append(strategy.num_kept)
    # 18 · (5/18)^x for x = 0, 1/4, 1/2, 3/4, 1
    assert found == [18, 18, 13, 9, 7, 5, 5]


def test_the_largest_weights_stay_and_no_edge_returns() -> None:
    strategy = search()
    edges, center = strategy.problem.edges, strategy.status["center"].clone()
    strategy.prune(7)
    kept = strategy.center_decisions()
    assert kept.sum() == 7
    assert set(kept.nonzero()[:, 0].tolist()) == set(center[edges].abs().topk(7).indices.tolist())
    strategy.run(3)
    strategy.prune(4)
    assert ((strategy.center_decisions() == 1) <= (kept == 1)).all()


@pytest.mark.parametrize("num_kept", [0, -1, 8, 19, 2.5])
def test_edges_that_cannot_be_kept(num_kept) -> None:
    strategy = search()
    strategy.prune(7)
    before = strategy.center_decisions()
    with pytest.raises(StructuredLayersError, match="num_kept must be an integer from 1 to 7, the"):
        strategy.prune(num_kept)
    assert torch.equal(strategy.center_decisions(), before)


def test_all_candidates_of_a_generation_have_its_edges() -> None:
    strategy = search()
    strategy.prune(6)
    mask = strategy.center_decisions()
    strategy.step()
    for batch in (strategy.population, strategy.center_population):
        _, decisions = strategy.problem.split(batch.values)
        assert (decisions == mask).all()


def test_it_finds_the_edges_that_count() -> None:
    clock = Clock()
    strategy = search(5, progress=clock)
    for generation in range(150):
        clock.now = generation / 150
        strategy.step()
    assert strategy.center_decisions().nonzero()[:, 0].tolist() == [0, 5, 11, 14, 17]
    weights, _ = strategy.problem.split(strategy.center_solution()[None])
    kept = weights[0, strategy.problem.edges[strategy.center_decisions().bool()]]
    assert float((kept - 1).abs().max()) < 0.2


@pytest.mark.parametrize("optimizer", ["adam", "cmaes"])
def test_it_goes_on_from_a_checkpoint(optimizer, tmp_path) -> None:
    settings = {"popsize": 30, "num_center_evaluations": 1, "optimizer": optimizer}
    one = MagnitudePruning(Target(), 5, seed=0, **settings)
    two = MagnitudePruning(Target(), 5, seed=3, **settings)
    one.run(2)
    one.prune(9)
    one.step()
    write_checkpoint(tmp_path, one.state_dict(), number=3)
    two.load_state_dict(read_checkpoint(tmp_path))
    assert two.num_kept == 9
    for strategy in (one, two):
        strategy.run(2)
        strategy.prune(5)
        strategy.run(2)
    assert torch.equal(one.center_solution(), two.center_solution())


def test_edges_go_between_the_two_times_that_are_asked_for() -> None:
    clock, found = Clock(), []
    strategy = search(5, progress=clock, between=(0.0, 0.5))
    for clock.now in (0.0, 0.25, 0.5, 1.0):
        strategy.step()
        found.append(strategy.num_kept)
    assert found == [18, 9, 5, 5]  # 18 · (5/18)^x for x = 0, 1/2, 1, 1


@pytest.mark.parametrize("between", [(0.5, 0.5), (-0.1, 0.5), (0.5, 1.1), (0.9, 0.6)])
def test_times_outside_the_training_are_refused(between) -> None:
    with pytest.raises(StructuredLayersError, match=r"between must be an interval in \[0, 1\]"):
        search(5, between=between)


@pytest.mark.parametrize("num_kept", [0, 19])
def test_impossible_numbers_of_edges_are_refused(num_kept: int) -> None:
    with pytest.raises(StructuredLayersError, match="num_kept must be an integer from 1 to 18"):
        search(num_kept)


def test_another_space_is_refused() -> None:
    problem = Target()
    problem.search_space = EdgeSubset(18, 5)
    with pytest.raises(StructuredLayersError, match="EdgeMask, got a problem with EdgeSubset"):
        MagnitudePruning(problem, 5)


def test_of_two_sizes_the_smaller_is_the_better_result() -> None:
    best, solution = BestCenter(), torch.zeros(2)
    for value, size, taken in ((5.0, 9, True), (4.0, 9, False), (1.0, 7, True), (2.0, 7, True)):
        best.offer(value, solution, None, size)
        assert (best.value == value) is taken
    again = BestCenter()
    again.load_state_dict(best.state_dict())
    again.offer(1.5, solution, None, 7)
    assert again.value == 2.0


def config(**settings) -> RunConfig:
    defaults = {"env": DRIFT, "hidden": (3,), "popsize": 6, "center_evaluations": 3}
    return RunConfig(**{**defaults, "total_steps": 3000, **settings})


def test_a_run_removes_edges_and_saves_the_policy_of_the_last_number(tmp_path) -> None:
    settings = config(structure="edges", num_edges=6, controller="magnitude")
    run = Run.create(tmp_path / "run", settings)
    rows: list[dict[str, Any]] = []
    run.train(on_generation=rows.append)
    numbers = [row["num_weights"] for row in rows]
    assert numbers[0] == 15
    assert numbers[-1] == 6
    assert numbers == sorted(numbers, reverse=True)
    network = load_policy(tmp_path / "run").network
    assert summarize(network).weights == 6
    last = [row["return_center"] for row in rows if row["num_weights"] == 6]
    assert run.best.value == pytest.approx(max(last))


@pytest.mark.parametrize("total_steps", [50, 400])
def test_a_run_of_few_generations_ends_with_one_of_the_last_number(total_steps, tmp_path) -> None:
    settings = config(
        structure="edges", num_edges=6, controller="magnitude", total_steps=total_steps
    )
    Run.create(tmp_path / "whole", settings).train()
    run = Run.create(tmp_path / "parts", settings)
    while not run.finished:
        run.train(should_stop=iter([False, True]).__next__)
        run = Run.resume(tmp_path / "parts")
    rows = run.progress.read()
    assert int(rows[-2]["env_steps"]) >= total_steps  # the one in time had more edges
    assert int(rows[-2]["num_weights"]) > int(rows[-1]["num_weights"]) == 6
    assert summarize(load_policy(tmp_path / "parts").network).weights == 6
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


def test_a_short_dense_phase_ends_with_the_last_number_too(tmp_path) -> None:
    held = {"controller": "local-search", "num_mutations": 0, "dense_steps": 50}
    Run.create(tmp_path / "run", config(structure="edges", num_edges=4, **held)).train()
    assert summarize(load_policy(tmp_path / "run" / "dense").network).weights == 4


@pytest.mark.parametrize(
    ("settings", "phase"),
    [
        ({"num_colors": 3, "dense_share": 0.4}, {"num_edges": 6, "controller": "magnitude"}),
        ({"num_colors": 3}, {"structure": "dense", "num_edges": None}),
        ({"structure": "edges", "num_edges": 4}, {"num_edges": 4, "controller": "magnitude"}),
    ],
)
def test_the_dense_phase_leaves_the_edges_that_are_asked_for(settings, phase, tmp_path) -> None:
    held = {"controller": "local-search", "num_mutations": 0, "dense_steps": 1500}
    whole = config(**settings, **held)
    found = dense_config(whole)
    assert {name: getattr(found, name) for name in phase} == phase
    run = Run.create(tmp_path / "run", whole)
    run.train()
    if found.num_edges is None:
        return
    dense = load_policy(tmp_path / "run" / "dense").network
    assert summarize(dense).weights == found.num_edges
    if whole.structure == "edges":
        last = topology_to_vector(load_policy(tmp_path / "run").network)
        assert torch.equal(last, topology_to_vector(dense))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"controller": "magnitude"}, "magnitude goes with structure edges"),
        (
            {"controller": "magnitude", "structure": "edges", "edges_per_layer": (3, 3)},
            "without edges_per_layer",
        ),
        ({"dense_share": 0.5}, "dense_share goes with dense_steps and structure chromatic"),
        ({"dense_share": 0.0}, r"dense_share must lie in \(0, 1\], got 0"),
    ],
)
def test_settings_without_effect_are_refused(settings, message) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        config(**settings)


def test_masked_layers_and_biases_are_told_apart() -> None:
    strategy = search()
    layers = [m for m in strategy.problem.network.modules() if isinstance(m, MaskedLinear)]
    expected = torch.cat([layer.values.detach().flatten() for layer in layers])
    flat = nn.utils.parameters_to_vector(strategy.problem.network.parameters()).detach()
    assert torch.equal(flat[strategy.problem.edges], expected)
    strategy.prune(1)
    assert int(strategy.center_decisions().argmax()) == int(expected.abs().argmax())
