"""PyGlove's generators over our spaces, and going on from their history."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from structured_layers import MissingDependencyError, StructuredLayersError
from structured_layers.algorithms import (
    Coloring,
    EdgeSubset,
    ProductSpace,
    PyGloveController,
    SearchSpace,
    UnitActivationChoice,
)
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.errors import CheckpointError

SPACES = {
    "coloring": Coloring(6, 3),
    "one decision": Coloring(1, 4),
    "edges": EdgeSubset(9, 3),
    "product": ProductSpace([EdgeSubset(9, 3), UnitActivationChoice(4)]),
}
each_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def evolution(seed: int | None = 0, mutator_seed: int | None = 0) -> Any:
    """Regularised evolution of PyGlove; every part that draws has a seed of its own."""
    pyglove = pytest.importorskip("pyglove")
    return pyglove.evolution.regularized_evolution(
        mutator=pyglove.evolution.mutators.Uniform(seed=mutator_seed),
        population_size=12,
        tournament_size=4,
        seed=seed,
    )


def train(controller: PyGloveController, generations: int, n: int = 8) -> list[torch.Tensor]:
    proposals = []
    for _ in range(generations):
        proposals.append(controller.propose(n))
        controller.space.check(proposals[-1])
        controller.observe(proposals[-1], (proposals[-1] == 0).sum(dim=1).float())
    return proposals


@each_space
def test_proposals_are_members_and_become_better(space: SearchSpace) -> None:
    controller = PyGloveController(space, evolution())
    space.check(controller.best()[None])
    proposals = train(controller, 8)
    space.check(controller.best()[None])
    first, last = ((decisions == 0).double().mean() for decisions in (proposals[0], proposals[-1]))
    assert last > first


@each_space
def test_a_state_is_the_history(space: SearchSpace, tmp_path: Path) -> None:
    controller = PyGloveController(space, evolution())
    train(controller, 3)
    decisions = controller.propose(5)
    others = space.sample(2, torch.Generator().manual_seed(0))
    controller.observe(torch.cat([decisions[[3, 1]], others]), torch.arange(4.0))
    write_checkpoint(tmp_path, controller.state_dict(), number=4)
    resumed = PyGloveController(space, evolution())
    train(resumed, 1)
    resumed.load_state_dict(read_checkpoint(tmp_path))
    assert resumed.num_updates == controller.num_updates == 4
    for mine, theirs in zip(train(resumed, 3), train(controller, 3), strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(resumed.best(), controller.best())


@pytest.mark.parametrize("seeds", [(None, 0), (0, None)])
def test_a_generator_without_a_seed_cannot_go_on(seeds: tuple[int | None, int | None]) -> None:
    space = Coloring(20, 5)
    controller = PyGloveController(space, evolution(*seeds))
    train(controller, 4)
    resumed = PyGloveController(space, evolution(*seeds))
    with pytest.raises(CheckpointError, match="did not repeat its proposals.*give it a seed"):
        resumed.load_state_dict(controller.state_dict())


def test_the_generator_of_the_caller_stays_as_it_is() -> None:
    algorithm = evolution()
    train(PyGloveController(SPACES["coloring"], algorithm), 2)
    assert algorithm.dna_spec is None


def test_a_generator_that_has_no_more() -> None:
    pyglove = pytest.importorskip("pyglove")
    controller = PyGloveController(Coloring(1, 3), pyglove.geno.Sweeping())
    assert controller.propose(3).flatten().tolist() == [0, 1, 2]
    with pytest.raises(StructuredLayersError, match="Sweeping has no further structures after 3"):
        controller.propose(1)


def test_what_is_no_generator() -> None:
    pytest.importorskip("pyglove")
    with pytest.raises(StructuredLayersError, match="pyglove.DNAGenerator of one objective, got 7"):
        PyGloveController(SPACES["coloring"], 7)


def test_without_pyglove(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyglove", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "structured-layers\[pyglove\]"'):
        PyGloveController(SPACES["coloring"], None)
