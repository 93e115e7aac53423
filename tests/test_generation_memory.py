"""A generation needs its candidates and a block of directions, and no result depends on blocks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from evotorch import Problem
from torch import Tensor

from structured_layers.algorithms import ES, Estimator
from structured_layers.algorithms import directions as directions_module
from structured_layers.algorithms.gradient_estimators import antithetic, vanilla
from structured_layers.algorithms.perturbation import Perturbation

DIMENSION, POPSIZE = 50_000, 256
CANDIDATES = 4 * DIMENSION * POPSIZE
BLOCK = 4 * directions_module.BLOCK_ELEMENTS

MEASURE = """
import sys
from pathlib import Path
import torch
from evotorch import Problem
from structured_layers.algorithms import ES

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])

def search(dimension, popsize):
    problem = Problem("max", lambda x: x[:, 0].clone(), solution_length=dimension,
                      initial_bounds=(-1, 1), vectorized=True)
    return ES(problem, popsize=popsize, center_init=torch.zeros(dimension), estimator=sys.argv[1],
              directions=sys.argv[2], optimizer="sgd", seed=0)

search(10, 4).run(2)  # what is allocated once for all
measured = search(int(sys.argv[3]), int(sys.argv[4]))
Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far; see proc(5)
before = memory("VmRSS")
measured.step()
print("added", memory("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak")
@pytest.mark.parametrize(
    ("kind", "estimator"), [("gaussian", "antithetic"), ("hadamard", "forward")]
)
def test_a_generation_needs_its_candidates_and_a_block(kind: str, estimator: str) -> None:
    """A block as it is drawn, and twice its size once it is weighed in double precision."""
    arguments = [sys.executable, "-c", MEASURE, estimator, kind, str(DIMENSION), str(POPSIZE)]
    # so that glibc returns what is freed at once: how much it would keep differs from run to run
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"}
    result = subprocess.run(arguments, check=True, capture_output=True, text=True, env=environment)
    added = int(result.stdout.split("added")[1])
    assert CANDIDATES <= added < CANDIDATES + 6 * BLOCK  # and four vectors of weights


def make(**options: object) -> ES:
    problem = Problem(
        "min",
        lambda x: ((x - 1) ** 4).sum(-1),
        solution_length=100,
        initial_bounds=(-1, 1),
        vectorized=True,
        dtype=torch.float64,
    )
    return ES(problem, popsize=40, center_init=torch.zeros(100), seed=0, **options)


@pytest.mark.parametrize("kind", ["gaussian", "orthogonal", "hadamard", "coordinate"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"slope": True},
        {"estimator": "forward"},
        {"num_top": 5},
        {"estimator": lambda *arguments: antithetic(*arguments)},
    ],
    ids=["plain", "slope", "forward", "top", "own"],
)
def test_small_blocks_give_the_same_search(
    kind: str, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The candidates to the bit; the estimate to the order of its sums."""
    whole, cut = make(directions=kind, **options), make(directions=kind, **options)
    whole.run(3)
    whole_first, cut_first = make(directions=kind, **options), make(directions=kind, **options)
    whole_first.step()
    monkeypatch.setattr(directions_module, "BLOCK_ELEMENTS", 700)
    cut.run(3)
    cut_first.step()
    assert torch.equal(whole_first.population.values, cut_first.population.values)
    torch.testing.assert_close(whole.status["center"], cut.status["center"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("limit", [100, 600, 2**22])
def test_rows_of_a_perturbation_do_not_depend_on_blocks(
    mirrored: bool, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    center = torch.randn(100, generator=torch.Generator().manual_seed(0))
    perturbation = Perturbation(center, 0.3, 7, "gaussian", 17, mirrored)
    noise = torch.cat([block.clone() for block in perturbation.blocks()])
    signs = (1, -1) if mirrored else (1,)
    expected = torch.stack([center + 0.3 * (sign * noise) for sign in signs], dim=1).flatten(0, 1)
    monkeypatch.setattr(directions_module, "BLOCK_ELEMENTS", limit)
    for start, stop in ((0, len(expected)), (3, 20), (4, 5), (16, 17), (0, 1)):
        stop = min(stop, len(expected))
        assert torch.equal(perturbation.rows(start, stop), expected[start:stop])


def test_blocks_are_drawn_only_as_far_as_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directions_module, "BLOCK_ELEMENTS", 64)
    perturbation = Perturbation(torch.zeros(16), 1.0, 0, "gaussian", 40, True)
    drawn: list[int] = []

    def counting(*arguments: object):
        for block in directions_module._gaussian_blocks(*arguments):
            drawn.append(len(block))
            yield block

    kinds = ((directions_module.gaussian, counting),)
    monkeypatch.setattr(directions_module, "_BLOCKS", kinds)
    assert perturbation.rows(2, 10).shape == (8, 16)
    assert sum(drawn) == 8  # two blocks of four


@pytest.mark.parametrize("estimator", ["antithetic", "vanilla"])
def test_estimators_take_blocks(estimator: str) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(9, 5, generator=generator)
    plus, minus = torch.randn(2, 9, generator=generator)
    slope = torch.randn(5, generator=generator)
    values = (plus, minus) if estimator == "antithetic" else (plus,)
    function = antithetic if estimator == "antithetic" else vanilla
    whole = function(*values, rows, 0.3, baseline=minus, slope=slope)
    cut = function(*values, iter(rows.split(4)), 0.3, baseline=minus, slope=slope)
    torch.testing.assert_close(cut, whole)
    assert cut.dtype == torch.float32


def test_ones_own_estimator_gets_all_directions_unless_it_takes_blocks() -> None:
    seen: list[tuple] = []

    def own(plus: Tensor, minus: Tensor, rows: object, stdev: float) -> Tensor:
        seen.append(tuple(rows.shape) if isinstance(rows, Tensor) else tuple(type(rows).__mro__))
        return torch.zeros(100, dtype=torch.float64)

    make(estimator=own).step()
    make(estimator=Estimator(own, takes_blocks=True)).step()
    assert seen[0] == (20, 100)
    assert Tensor not in seen[1]
