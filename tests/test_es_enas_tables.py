"""The plan of the records of ES-ENAS, and what their tables say to the papers' claims."""

import json
import random
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
EVOLUTION, GRADIENT = (
    f"halfcheetah-17-colors-{name}" for name in ("regularized-evolution", "policy-gradient")
)


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def record(**changes):
    return {
        "command": "structured-layers train HalfCheetah-v5",
        "commit": "0123456789abcdef",
        "env": "HalfCheetah-v5",
        "env_steps": 4_000_000,
        "training_seconds": 100.0,
        "weights": 17,
        "dense_weights": 736,
        "bits": {"paper": 5248, "bitmask": None, "entropy": 2378},
        "paper_compression": 0.936,
        "compression": 0.93,
        "return_mean": 1000.0,
        "return_std": 100.0,
        **changes,
    }


def claims(results: Path, records):
    from es_enas_tables import es_enas_parts

    rows = [line.strip("| ").split(" | ") for line in es_enas_parts(results, records)["claims"]]
    return {row[0]: row[1:] for row in rows[2:] if len(row) == 3}


def write_curve(folder: Path, returns, updates=None) -> None:
    folder.mkdir(parents=True)
    updates = [0] * len(returns) if updates is None else updates
    lines = ["generation,env_steps,return_center,controller_updates"]
    for i, (value, update) in enumerate(zip(returns, updates, strict=True)):
        lines.append(f"{i + 1},{1_000_000 * (i + 1)},{value},{update}")
    (folder / "progress.csv").write_text("\n".join(lines) + "\n")


def test_the_planned_commands_are_understood() -> None:
    import tyro
    from es_enas_records import planned_runs

    from structured_layers.integrations.cli.train import Train
    from structured_layers.integrations.evotorch.run_config import RunConfig

    runs = planned_runs(2)
    assert len({run.name for run in runs}) == len(runs)
    for run in runs:
        assert isinstance(tyro.cli(Train, args=run.command[1:])._config(), RunConfig)


@pytest.mark.parametrize(
    ("more", "verdict"), [(1150.0, "true here"), (1090.0, "not decided"), (850.0, "false here")]
)
def test_a_verdict_needs_returns_that_are_apart(more, verdict, tmp_path) -> None:
    records = {
        "halfcheetah-l-50-colors-seed0": record(return_mean=more),
        "halfcheetah-l-17-colors-seed0": record(),
    }
    found, seen = claims(tmp_path, records)["[CN] More colours help: L/50 against L/17."]
    assert found == verdict
    assert seen == (f"{more:,.0f} ± 100 against 1,000 ± 100 after 4M steps; one seed and one seed")


def test_seeds_are_compared_by_their_spread(tmp_path) -> None:
    records = {
        f"{name}-seed{seed}": record(return_mean=mean + 10 * seed)
        for name, mean in ((EVOLUTION, 1000.0), ("halfcheetah-17-colors-random", 950.0))
        for seed in range(2)
    }
    found, seen = claims(tmp_path, records)["[CN] A learned controller beats random colourings."]
    assert found == "true here"
    assert "1,005 ± 7 against 955 ± 7" in seen
    assert seen.endswith("2 seeds and 2 seeds")


def test_who_comes_first_to_half_of_the_best(tmp_path) -> None:
    write_curve(tmp_path / "es_enas" / f"{EVOLUTION}-seed0", [0.0, 60.0, 200.0])
    write_curve(tmp_path / "es_enas" / f"{GRADIENT}-seed0", [0.0, 0.0, 40.0])
    records = {f"{name}-seed0": record() for name in (EVOLUTION, GRADIENT)}
    name = "[EE] Regularised evolution converges faster than policy gradient."
    found, seen = claims(tmp_path, records)[name]
    assert found == "true here"
    assert "after 3.0M steps by evolution and never by policy gradient" in seen


@pytest.mark.parametrize(("jump", "verdict"), [(500.0, "true here"), (0.0, "not decided")])
def test_jumps_are_those_of_the_generation_behind_an_update(jump, verdict, tmp_path) -> None:
    returns, updates, value, noise = [], [], 0.0, random.Random(0)
    for generation in range(60):
        value += jump if generation and generation % 10 == 0 else 0.0
        returns.append(value + noise.gauss())
        updates.append((generation + 1) // 10)  # an update ends a generation, the next shows it
    write_curve(tmp_path / "es_enas" / "halfcheetah-17-colors-phases-seed0", returns, updates)
    records = {"halfcheetah-17-colors-phases-seed0": record()}
    name = "[CN] The reward jumps when the controller is updated."
    assert claims(tmp_path, records)[name][0] == verdict


def test_claims_without_records_are_not_decided(tmp_path) -> None:
    assert {tuple(row) for row in claims(tmp_path, {}).values()} == {("not decided", "no records")}


def test_pictures_are_drawn_of_the_records_there_are(tmp_path, monkeypatch) -> None:
    import es_enas_records

    folder = tmp_path / "es_enas" / f"{EVOLUTION}-seed0"
    write_curve(folder, [0.0, 60.0, 200.0])
    (folder / "record.json").write_text(json.dumps(record(env_steps_before=0)))
    monkeypatch.setattr(es_enas_records, "RESULTS", tmp_path)
    for draw in (es_enas_records.draw_controllers, es_enas_records.draw_frontier):
        draw(tmp_path / "picture.png")
        assert (tmp_path / "picture.png").stat().st_size > 10_000
        (tmp_path / "picture.png").unlink()
