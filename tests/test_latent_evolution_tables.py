"""The page on evolution in the latent space says what the records say."""

from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from markdown_blocks import ROOT


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
        ((900_000, 500_000, 1), (400_000, 1, 2), "**more** steps to 2,500 (500k against 0k)"),
        ((None, None, 5), (None, None, None), "neither reached 2,500"),
        ((7, 7, 7), (7, 7, 7), "**the same** steps to 2,500"),
    ],
    ids=["fewer", "more", "neither", "same"],
)
def test_the_medians_decide(
    tables: ModuleType, ours: tuple[Any, ...], theirs: tuple[Any, ...], verdict: str
) -> None:
    records = [record("latent-es", seed, steps) for seed, steps in enumerate(ours)]
    records += [record("es-decoded", seed, steps) for seed, steps in enumerate(theirs)]
    (line, _) = tables.latent_evolution_parts(named(records))["verdict"]
    assert line.startswith("- `latent-es` against `es-decoded`: **the same** steps to 1,000")
    assert verdict in line


def test_a_row_has_every_seed(tables: ModuleType) -> None:
    records = named([record("latent-ga", seed, steps) for seed, steps in ((1, None), (0, 40_000))])
    parts = tables.latent_evolution_parts(records)
    assert "| 40k; > 1,000k |" in parts["reached"][2]
    assert "| 500; 500 |" in parts["reached"][2]
    assert "120 policies of 40 runs" in parts["zoo"][0]
    assert "**50 million**" in parts["zoo"][0]
    assert "--only latent-ga --seeds 0" in "\n".join(parts["commands"])


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
