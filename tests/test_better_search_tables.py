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
            is_model = source.startswith("benchmarks/results/sb3/halfcheetah-")
            assert is_model or source.removeprefix("runs/").removesuffix("/dense") in names
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

    started = "structured-layers train HalfCheetah-v5 --num-colors 17 --output-bias"
    latent = "structured-layers train HalfCheetah-v5 --controller latent --stdev 0.03"
    cmaes = "structured-layers train HalfCheetah-v5 --num-colors 17 --optimizer cmaes"
    edges = {"structure": "edges", "weights": 64}
    records = {
        "halfcheetah-17-colors-seed0": record(command=started),
        "halfcheetah-17-colors-seed1": record(command=started, seed=1, return_mean=4800.0),
        "halfcheetah-64-edges-seed0": record(**edges, return_mean=5437.0, env_steps_before=0),
        "halfcheetah-50-colors-seed0": record(command=started, weights=50, return_mean=9000.0),
        "halfcheetah-3-colors-seed0": record(command=latent, weights=3),
        "halfcheetah-17-colors-cmaes-seed0": record(command=cmaes),
    }
    parts = better_search_parts(records, {})
    bits, returns = "2,378", "5,282 ± 74"
    assert parts["reached"][2:-1] == [
        f"| 3 for 736 edges | evolution | latent coloring, σ 0.03 | {bits} | 13.0M | {returns} "
        "| 4,894: passed by 1 of 1 |",
        f"| 17 for 736 edges | PPO | coloring held | {bits} | 13.0M; 13.0M | {returns}; 4,800 ± 74 "
        "| 4,894: passed by 1 of 2 |",
        f"| 50 for 736 edges | PPO | coloring held | {bits} | 13.0M | 9,000 ± 74 | none |",
        f"| 64 of 736 edges | evolution | edges held | {bits} | 2.0M | 5,437 ± 74 "
        "| 5,436: passed by 1 of 1 |",
    ]
    assert parts["compared"][2:-1] == [
        f"| 17 for 736 edges | evolution | coloring held, CMA-ES | {bits} | 13.0M | {returns} "
        "| 4,894: passed by 1 of 1 |",
    ]
    assert parts["commands"].count(started) == 2  # a group's first seed
    assert "commit `0123456789ab`, a machine" in parts["commands"]


def test_pages_without_records_say_so() -> None:
    from better_search_tables import better_search_parts

    assert better_search_parts({}, {})["reached"][0] == "Nothing is recorded yet."
