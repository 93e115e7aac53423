"""The tables of the page on ERL, made from records."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from markdown_blocks import ROOT


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield importlib.import_module("erl_tables")
    sys.modules.pop("erl_tables", None)


def record(**changes: Any) -> dict[str, Any]:
    row = {"learner_steps": 200_000, "gradient_steps": 195_000, "returns": {"learner": 90.0}}
    return {
        "seed": 0,
        "command": "python benchmarks/erl.py --only td3 --seeds 0",
        "chosen": "learner",
        "return_mean": 3_389.2,
        "return_std": 103.3,
        "final_returns": {"learner": 3_389.2},
        "training_seconds": 1_437.0,
        "curve": [row],
        **changes,
    }


def test_rows_say_what_the_records_say(tables: Any, tmp_path: Path) -> None:
    row = {
        **{"learner_steps": 200_100, "population_steps": 900_000, "gradient_steps": 400_000},
        **{"evolution_share": 0.123, "returns": {"learner-0": 1.0, "learner-1": 5.0, "elite": 3.0}},
    }
    finals = {"learner-0": 100.0, "learner-1": 2_000.0, "elite": 50.0}
    records = {
        "hopper-cerl-latent-seed0": record(
            curve=[row], final_returns=finals, chosen="learner-1", return_mean=2_000.0
        ),
        "hopper-td3-seed0": record(),
    }
    parts = tables.erl_parts(records)
    assert parts["returns"][2:4] == [
        "| TD3 alone | 0 | 3,389 ± 103 | learner | 3,389 | – |",
        "| CERL, latent population | 0 | 2,000 ± 103 | learner-1 | 100 / 2,000 | 50 |",
    ]
    assert parts["costs"][2:4] == [
        "| TD3 alone | 0 | 200,000 | 0 | 195,000 | 24 min | – |",
        "| CERL, latent population | 0 | 200,100 | 900,000 | 400,000 | 24 min | 12% |",
    ]
    assert "python benchmarks/erl.py --only td3 --seeds 0" in parts["commands"]
    assert tables.draw(records, tmp_path / "erl.png").stat().st_size > 1_000


def test_the_curve_is_of_the_policy_that_was_best_before(tables: Any) -> None:
    evaluations = [(10, 1.0, 5.0, 3.0), (20, 7.0, 2.0, 9.0), (30, 4.0, 8.0, 6.0)]
    curve = [
        {"learner_steps": steps, "returns": {"learner-0": a, "learner-1": b, "elite": c}}
        for steps, a, b, c in evaluations
    ]
    assert tables.deployed_curve(curve) == ([20, 30], [2.0, 6.0])


def test_without_records_the_page_says_so(tables: Any) -> None:
    assert set(map(tuple, tables.erl_parts({}).values())) == {tuple(tables.MISSING)}
