"""The page that compares searches says what the records say."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from markdown_blocks import ROOT


@pytest.fixture
def search_parts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, list[str]]]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return import_module("search_tables").search_parts


def record(env: str, preset: str, seed: int, mean: float) -> dict[str, Any]:
    return {
        "command": f"structured-layers train {env} --preset {preset} --seed {seed}",
        "commit": "0123456789abcdef",
        "machine": "a machine",
        "env": env,
        "seed": seed,
        "structure": "dense",
        "hidden": [32, 32],
        "weights": 10,
        "biases": 4,
        "env_steps": 1_000 + seed,
        "return_mean": mean,
        "return_std": 1.5,
    }


def test_the_median_over_the_seeds_meets_its_goal_or_not(search_parts: Callable) -> None:
    for means, verdict in (((100, 324, 400), "not reached"), ((100, 325, 400), "reached")):
        records = {str(m): record("Swimmer-v5", "ars-v1", s, m) for s, m in enumerate(means)}
        row = search_parts(records, None)["ars"][2]
        assert row.endswith(f"| 325: {verdict} |")
        assert "1,000 to 1,002" in row and f"| {means[1]} |" in row


def test_the_spread_is_that_between_seeds(search_parts: Callable) -> None:
    records = {str(s): record("Swimmer-v5", "stst", s, 10.0 * s) for s in range(3)}
    records["one"] = record("Hopper-v5", "unun", 7, 5.0)
    parts = search_parts(records, None)
    assert parts["compared"][2].endswith(
        "| 14 | 1,000 to 1,002 | 0.0 ± 1.5; 10.0 ± 1.5; 20.0 ± 1.5 | 10.0 ± 10.0 |"
    )
    assert parts["others"][2].endswith("| 5.0, one seed |")
    assert "Nothing is recorded yet." in parts["ars"]
    assert parts["origin"] == ["Commits `0123456789ab`; a machine.", ""]
