"""The plan of the better search's runs, and the tables of their records."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def record(**changes):
    bits = {"paper": 5248, "bitmask": None, "coordinates": 5248, "entropy": 2378}
    return {
        "command": "structured-layers train HalfCheetah-v5",
        "commit": "0123456789abcdef",
        "machine": "a machine",
        "env": "HalfCheetah-v5",
        "structure": "chromatic",
        "seed": 0,
        "env_steps": 2_000_000,
        "env_steps_before": 11_000_000,
        "weights": 17,
        "dense_weights": 736,
        "bits": bits,
        "return_mean": 5282.1,
        "return_std": 73.9,
        **changes,
    }


def test_every_run_comes_after_the_one_that_it_starts_at() -> None:
    from better_search import planned_runs

    names: list[str] = []
    for run in planned_runs():
        assert run.command[0] == "train"
        if "--init-from" in run.command:
            source = run.command[run.command.index("--init-from") + 1]
            is_record = (BENCHMARKS.parent / source).is_dir()
            assert source.removeprefix("runs/") in names or is_record
        names.append(run.name)
    assert len(set(names)) == len(names)


def test_the_planned_commands_are_understood() -> None:
    import tyro
    from better_search import planned_runs

    from structured_layers.integrations.cli.train import Train
    from structured_layers.integrations.evotorch.run_config import RunConfig

    for run in planned_runs():
        config = tyro.cli(Train, args=run.command[1:])._config()
        assert isinstance(config, RunConfig)
        assert (config.init_from is None) or config.controller in ("local-search", "latent")


def test_a_row_has_all_steps_and_the_goal_of_its_size() -> None:
    from better_search_tables import better_search_parts

    records = {
        "a-seed0": record(),
        "a-seed1": record(seed=1, return_mean=4800.0, env_steps_before=0),
        "b-seed0": record(structure="edges", weights=100, return_mean=9000.0),
        "c-seed0": record(structure="edges", weights=64, return_mean=5437.0),
    }
    parts = better_search_parts(records)
    rows = [line for line in parts["reached"] if line.startswith("| HalfCheetah")]
    assert rows == [
        "| HalfCheetah-v5 | 17 for 736 edges | 5,248 | 2,378 | 13,000,000; 2,000,000 | "
        "5,282 ± 74; 4,800 ± 74 | above 4,894: 1 of 2 |",
        "| HalfCheetah-v5 | 64 of 736 edges | 5,248 | 2,378 | 13,000,000 | 5,437 ± 74 | "
        "above 5,436: 1 of 1 |",
        "| HalfCheetah-v5 | 100 of 736 edges | 5,248 | 2,378 | 13,000,000 | 9,000 ± 74 | none |",
    ]
    assert parts["commands"].count("structured-layers train HalfCheetah-v5") == 3
    assert "commit `0123456789ab`, a machine" in parts["commands"]


def test_pages_without_records_say_so() -> None:
    from better_search_tables import better_search_parts

    assert better_search_parts({})["reached"][0] == "Nothing is recorded yet."
