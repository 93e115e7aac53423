"""The page on evolution in the latent space says what the records say."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from evotorch import Problem
from markdown_blocks import ROOT

from structured_layers.algorithms import GA
from structured_layers.algorithms.checkpoints import write_checkpoint


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return import_module("latent_evolution_tables")


def record(method: str, seed: int, steps: int | None, **fields: Any) -> dict[str, Any]:
    return {
        "command": f"python benchmarks/latent_evolution.py --only {method} --seeds {seed}",
        "commit": "0123456789abcdef",
        "machine": "a machine",
        "method": method,
        "space": "latent" if method.startswith("latent") else "weights",
        "start": "mean",
        "seed": seed,
        "trained_values": 59,
        "return_at_start": 500.4,
        "env_steps": 1_000_000,
        "steps_to": {"1000": 0, "2500": steps},
        "return_mean": 3_000.0,
        "return_std": 10.0,
        "seconds": 90.0,
        "zoo": {"policies": 120, "runs": 40, "env_steps": 50_000_000},
        **fields,
    }


def named(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {f"hopper-{r['method']}-seed{r['seed']}": r for r in records}


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ((100_000, 300_000, None), (400_000, None, None), "**fewer** steps to 2,500 (300k against"),
        ((900_000, 500_000, 1), (400_000, 9_000, 2), "**more** steps to 2,500 (500k against 9k)"),
        ((None, None, 5), (None, None, None), "neither reached 2,500"),
        ((7, 7, 7), (7, 7, 7), "**the same** steps to 2,500"),
        ((0, 0, 9), (0, 0, 0), "both are above 2,500 at the start"),
        ((0, 0, 9), (9_000, 9_000, 0), "above 2,500 at the start (9k for the other)"),
        ((9_000, None, None), (0, 0, 0), "2,500 at the start (not reached for this one)"),
    ],
    ids=["fewer", "more", "neither", "same", "both_start", "our_start", "their_start"],
)
def test_the_medians_decide(
    tables: ModuleType, ours: tuple[Any, ...], theirs: tuple[Any, ...], verdict: str
) -> None:
    records = [record("latent-es", seed, steps) for seed, steps in enumerate(ours)]
    records += [record("es-decoded", seed, steps) for seed, steps in enumerate(theirs)]
    (line, _) = tables.latent_evolution_parts(named(records))["verdict"]
    assert line.startswith("- `latent-es` against `es-decoded`: both are above 1,000 at the start")
    assert verdict in line


def test_a_row_has_every_seed(tables: ModuleType) -> None:
    records = named([record("latent-ga", seed, steps) for seed, steps in ((1, None), (0, 40_000))])
    parts = tables.latent_evolution_parts(records)
    assert "| 40k; > 1,000k |" in parts["reached"][2]
    assert "| 500; 500 |" in parts["reached"][2]
    assert "| at the start; at the start |" in parts["reached"][2]
    assert "120 policies of 40 runs" in parts["zoo"][0]
    assert "**50 million**" in parts["zoo"][0]
    assert "--only latent-ga --seeds 0" in "\n".join(parts["commands"])


def test_random_codes_are_not_compared_with_the_mean_network(tables: ModuleType) -> None:
    methods = ("latent-es-normal", "es", "es-decoded")
    records = named([record(method, 0, 9_000) for method in methods])
    (line, _) = tables.latent_evolution_parts(records)["verdict"]
    assert line.startswith("- `latent-es-normal` against `es`:")


def test_without_records_nothing_is_claimed(tables: ModuleType) -> None:
    assert set(map(tuple, tables.latent_evolution_parts({}).values())) == {
        ("Nothing is recorded yet.", "")
    }


def test_goals_are_reached_at_the_first_evaluation_above_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    steps_to = import_module("latent_evolution").steps_to
    rows = [[0, 500.0, 1.0], [20_100, 1_000.0, 1.0], [40_000, 900.0, 1.0], [60_000, 2_400.0, 1.0]]
    assert steps_to(1_000, rows) == 20_100
    assert steps_to(2_500, rows) is None


def test_a_run_does_not_go_on_with_another_autoencoder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    resume = import_module("latent_evolution")._resume
    problem = Problem("min", lambda x: x @ x, solution_length=2, initial_bounds=(-1, 1), seed=0)
    search = GA(problem, popsize=4, num_parents=2, seed=0)
    origin = {"total_steps": 9, "autoencoder": {"decoders/0/decoder.json": "123"}}
    assert resume(tmp_path, search, origin) == ([], 0.0)
    state = {"search": search.state_dict(), "rows": [[0, 1.0, 2.0]], "seconds": 3.0, **origin}
    write_checkpoint(tmp_path, state, number=0)
    assert resume(tmp_path, search, origin) == ([[0, 1.0, 2.0]], 3.0)
    for other, message in (
        ({"total_steps": 8}, "a run of 9 steps; remove"),
        ({"autoencoder": {"decoders/0/decoder.json": "124"}}, "another autoencoder; remove"),
        ({"autoencoder": None}, "another autoencoder; remove"),
    ):
        with pytest.raises(SystemExit, match=message):
            resume(tmp_path, search, {**origin, **other})
