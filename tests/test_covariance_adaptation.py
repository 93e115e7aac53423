"""CMA-ES in the place of the gradient, alone and inside ES-ENAS."""

import builtins
import math
from pathlib import Path

import pytest
import torch
from evotorch import Problem, SolutionBatch
from torch import Tensor

from structured_layers import StructuredLayersError
from structured_layers.algorithms import ES, ESENAS, Coloring, RegularizedEvolution
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.errors import CheckpointError, MissingDependencyError

SPACE = Coloring(num_edges=6, num_colors=3)


class Toy(Problem):
    """An ill-conditioned bowl in the weights, and how many decisions are not 0."""

    def __init__(self, num_decisions: int = 6) -> None:
        super().__init__("min", solution_length=5 + num_decisions, initial_bounds=(-1, 1))

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        weights, decisions = batch.values[:, :5], batch.values[:, 5:]
        scales = torch.logspace(0, 3, 5)
        batch.set_evals((scales * (weights - 1) ** 2).sum(-1) + 0.1 * (decisions != 0).sum(-1))


def alone(seed: int = 0, **options: object) -> ES:
    defaults = {"popsize": 9, "center_init": torch.zeros(5), "stdev_init": 0.3, "seed": seed}
    return ES(Toy(0), optimizer="cmaes", **{**defaults, **options})


def with_structure(seed: int = 0) -> ESENAS:
    return ESENAS(
        Toy(),
        RegularizedEvolution(SPACE, population_size=20, seed=seed),
        popsize=12,
        center_init=torch.zeros(5),
        stdev_init=0.3,
        optimizer="cmaes",
        baseline="structure",
        seed=seed,
    )


def test_it_solves_what_one_step_size_for_all_weights_does_not() -> None:
    search, plain = alone(), ES(Toy(0), popsize=10, center_init=torch.zeros(5), seed=0)
    search.run(150)
    plain.run(150)
    assert (search.status["center"] - 1).norm() < 1e-3
    assert (plain.status["center"] - 1).norm() > 0.01
    assert search.status["stdev"] < 0.3
    assert search.status["update_norm"] > 0


def test_weights_and_structure_are_found_together() -> None:
    search = with_structure()
    search.run(300)
    assert (search.status["center"] - 1).norm() < 0.3
    assert (search.controller.best() == 0).sum() >= 5
    assert search.population.values.shape == (12, 11)


@pytest.mark.parametrize("make", [alone, with_structure])
@pytest.mark.parametrize("generations", [0, 5])
def test_a_search_goes_on_from_its_checkpoint_bit_for_bit(
    make, generations: int, tmp_path: Path
) -> None:
    search, resumed = make(), make(seed=1)
    search.run(generations)
    resumed.run(2)
    write_checkpoint(tmp_path, search.state_dict(), number=generations)
    resumed.load_state_dict(read_checkpoint(tmp_path))
    for _ in range(4):
        search.step()
        resumed.step()
        assert torch.equal(resumed.population.values, search.population.values)
        assert torch.equal(resumed.status["center"], search.status["center"])


def test_a_state_holds_no_uninitialised_memory() -> None:
    assert not alone().state_dict()["cmaes"]["_funhist_values"].any()


@pytest.mark.parametrize(
    ("name", "value"), [("_popsize", math.inf), ("_mean", torch.zeros(4)), ("_mu", "4")]
)
def test_values_of_another_kind_are_refused(name: str, value: object) -> None:
    search = alone()
    search.run(2)
    state = search.state_dict()
    before = search.state_dict()["cmaes"]["_mean"]
    state["cmaes"] = {**state["cmaes"], name: value}
    with pytest.raises(CheckpointError, match="do not fit this search"):
        search.load_state_dict(state)
    assert torch.equal(search.state_dict()["cmaes"]["_mean"], before)


def test_the_seed_determines_the_search() -> None:
    def center(seed: int) -> Tensor:
        search = alone(seed)
        search.run(3)
        return search.status["center"]

    assert torch.equal(center(1), center(1))
    assert not torch.equal(center(1), center(2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"directions": "hadamard", "slope": True}, "there is no directions, slope; only stdev"),
        ({"stdev_init": 0.0}, "stdev_init must be a positive.*, got 0.0"),
        ({"stdev_init": math.nan}, "stdev_init must be a positive.*, got nan"),
        ({"popsize": 1}, "at least 2, got 1"),
        ({"popsize": 3}, "popsize must be an integer of at least 4, got 3"),
    ],
)
def test_bad_arguments(options: dict, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        alone(**options)


def test_one_weight_is_too_few() -> None:
    problem = Problem(
        "min", lambda x: x[:, 0], solution_length=1, initial_bounds=(0, 1), vectorized=True
    )
    with pytest.raises(StructuredLayersError, match="at least 2 weights"):
        ES(problem, optimizer="cmaes")


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: object, **kwargs: object) -> object:
        if name == "cmaes":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError, match=r"structured-layers\[cmaes\]"):
        alone()
