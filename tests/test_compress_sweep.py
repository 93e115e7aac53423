"""The sweep over structures, its files and its picture."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit

pytest.importorskip("stable_baselines3")
pytest.importorskip("sb3_contrib")

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from structured_layers import StructuredLayersError
from structured_layers.integrations.sb3.distillation import Distillation
from structured_layers.integrations.sb3.sweep import SweepSettings, compress_row, compress_sweep
from structured_layers.integrations.sb3.sweep_results import Returns, Sweep, SweepRow, read_sweep
from structured_layers.integrations.sb3.sweep_structures import default_structures
from structured_layers.plots.return_against_bits import Point, pareto_front

STRUCTURES = [{"layer": "dense"}, {"layer": "toeplitz"}, {"layer": "chromatic", "num_colors": 4}]
SETTINGS: dict[str, Any] = {
    "fine_tune_steps": 64,
    "num_episodes": 2,
    "distillation": Distillation(num_states=32, num_updates=5, num_rounds=1),
}


def make_model(normalize: bool = False) -> Any:
    env = make_vec_env("CartPole-v1", n_envs=2, seed=0)
    return PPO(
        "MlpPolicy",
        VecNormalize(env) if normalize else env,
        n_steps=32,
        batch_size=32,
        n_epochs=1,
        seed=0,
        device="cpu",
        policy_kwargs={"net_arch": [8]},
    ).learn(64)


def row(name: str, bits: int, mean: float) -> SweepRow:
    sizes = {"paper": bits, "entropy": bits}
    returns = Returns(mean, 1.0)
    return SweepRow(name, {"layer": name}, bits // 32, 2, sizes, None, returns, None, 0.5)


def test_rows_count_the_deployed_actor_only() -> None:
    sweep = compress_sweep(make_model(), STRUCTURES, **{**SETTINGS, "fine_tune_steps": 0})
    weights = {row.name: (row.weights, row.biases) for row in sweep.rows}
    assert weights == {
        "dense": (4 * 8 + 8 * 2, 10),
        "toeplitz": (4 + 8 - 1 + 8 + 2 - 1, 10),
        "chromatic-4": (4 + 2, 10),
    }
    assert all(row.tuned is None and row.projected is None for row in sweep.rows)


def test_a_finished_row_is_not_run_again(tmp_path: Path) -> None:
    model = make_model()
    first = compress_sweep(model, STRUCTURES[:2], out=tmp_path, **SETTINGS)
    rows: list[str] = []
    second = compress_sweep(
        model, STRUCTURES, out=tmp_path, on_row=lambda row: rows.append(row.name), **SETTINGS
    )
    assert rows == ["chromatic-4"]
    assert second.rows[:2] == first.rows == read_sweep(tmp_path).rows[:2]
    assert (tmp_path / "return_against_bits.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "sweep.csv").open() as file:
        assert [line["name"] for line in csv.DictReader(file)] == [r.name for r in second.rows]
    loaded = PPO.load(tmp_path / "chromatic-4" / "model.zip", device="cpu")
    assert loaded.policy.structure["num_colors"] == 4
    with pytest.raises(StructuredLayersError, match="another num_episodes; choose another folder"):
        compress_sweep(model, STRUCTURES, out=tmp_path, **{**SETTINGS, "num_episodes": 3})


def test_rows_do_not_depend_on_their_order_or_touch_the_model() -> None:
    model = make_model(normalize=True)
    env = model.get_vec_normalize_env()
    mean, steps = env.obs_rms.mean.copy(), model.num_timesteps
    weights = [p.detach().clone() for p in model.policy.parameters()]
    settings = {**SETTINGS, "projection": True}
    one = compress_sweep(model, STRUCTURES[1:], **settings)
    other = compress_sweep(model, STRUCTURES[:0:-1], **settings)
    results = [{r.name: (r.projected, r.distilled, r.tuned) for r in s.rows} for s in (one, other)]
    assert results[0] == results[1]
    np.testing.assert_array_equal(env.obs_rms.mean, mean)
    assert model.num_timesteps == steps
    assert all(
        bool((p == w).all()) for p, w in zip(model.policy.parameters(), weights, strict=True)
    )


def test_the_random_state_of_the_caller_stays() -> None:
    model = make_model()
    np.random.seed(7)
    wanted = np.random.rand()
    np.random.seed(7)
    compress_row(model, {"layer": "toeplitz"}, settings=SweepSettings(**SETTINGS))
    assert np.random.rand() == wanted


def test_the_learning_rate_falls_to_zero_and_the_schedule_comes_back() -> None:
    model = make_model()
    schedule = model.lr_schedule
    settings = SweepSettings(**{**SETTINGS, "learning_rate": 0.25, "fine_tune_steps": 256})
    seen: list[float] = []
    from structured_layers.integrations.sb3.fine_tuning import fine_tune_

    original = model.train
    model.train = lambda: (original(), seen.append(model.policy.optimizer.param_groups[0]["lr"]))
    fine_tune_(model, settings.fine_tune_steps, settings.learning_rate)
    assert model.lr_schedule is schedule
    assert seen == pytest.approx([0.1875, 0.125, 0.0625, 0.0])


def test_the_defaults_fit_small_policies() -> None:
    model = make_model()
    structures = default_structures(model.policy)
    names = [tuple(structure.values()) for structure in structures]
    assert ("dense",) in names and ("chromatic", 17) in names
    assert ("masked", 64) not in names  # of 48 edges
    assert len(names) == len(set(names))


def test_the_table_marks_the_front() -> None:
    rows = (row("dense", 3200, 100.0), row("toeplitz", 640, 90.0), row("circulant", 960, 80.0))
    sweep = Sweep(rows, {"num_episodes": 4})
    assert sweep.pareto == ("toeplitz", "dense")
    lines = str(sweep).splitlines()
    assert [line.endswith("*") for line in lines] == [False, True, True, False]
    assert "90.0%" in lines[2]


def test_the_front_has_no_point_that_another_beats() -> None:
    points = [Point("a", 5, 1.0, 0.0), Point("b", 5, 2.0, 0.0), Point("c", 9, 2.0, 0.0)]
    assert pareto_front(points) == [points[1]]


@pytest.mark.parametrize(
    ("structures", "settings", "message"),
    [
        ([{"layer": "chromatic", "num_colors": 1000}], {}, "between 1 and 48"),
        ([{"layer": "hexagonal"}], {}, "one of dense, toeplitz"),
        ([{"layer": "toeplitz"}] * 2, {}, "toeplitz more than once"),
        (STRUCTURES, {"episodes": 3}, "got episodes"),
        (STRUCTURES, {"num_episodes": 0}, "at least 1"),
        (STRUCTURES, {"num_episodes": 2.5}, "num_episodes must be an integer"),
        (STRUCTURES, {"seed": -1}, "seed must be an integer of at least 0"),
        (STRUCTURES, {"learning_rate": -1.0}, "learning_rate must be a finite number above 0"),
        (STRUCTURES, {"projection": "no"}, "projection must be True or False, got 'no'"),
        (STRUCTURES, {"distillation": True}, "must be a Distillation, got True"),
        (["toeplitz"], {}, r"must be a list of dicts such as .* got \['toeplitz'\]"),
        ("toeplitz", {}, "must be a list of dicts"),
        ({"layer": "toeplitz"}, {}, "must be a list of dicts"),
        (7, {}, "must be a list of dicts"),
    ],
)
def test_bad_sweeps_do_not_start(
    structures: Any, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        compress_sweep(make_model(), structures, out=tmp_path / "out", **settings)
    assert not (tmp_path / "out" / "sweep.json").exists()


@pytest.mark.parametrize("change", ["environment", "num_envs", "normalizer_sha256"])
def test_a_sweep_of_something_else_does_not_go_on(change: str, tmp_path: Path) -> None:
    settings = {**SETTINGS, "fine_tune_steps": 0}
    model = make_model(normalize=True)
    compress_sweep(model, STRUCTURES[:1], out=tmp_path, **settings)
    again = compress_sweep(model, STRUCTURES[:1], out=tmp_path, **settings)
    assert len(again.rows) == 1
    normalizer = model.get_vec_normalize_env()
    if change == "normalizer_sha256":
        normalizer.obs_rms.mean += 1.0
    elif change == "environment":
        normalizer.venv = make_vec_env(lambda: TimeLimit(gym.make("CartPole-v1"), 9), n_envs=2)
    else:
        normalizer.venv, normalizer.num_envs = make_vec_env("CartPole-v1", n_envs=3), 3
    with pytest.raises(StructuredLayersError, match=f"another {change}; choose another folder"):
        compress_sweep(model, STRUCTURES[:1], out=tmp_path, **settings)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StructuredLayersError, match="is no folder, but a file or below one"):
            compress_sweep(make_model(), STRUCTURES, out=out, **SETTINGS)


def test_structures_may_have_targets_of_their_own(tmp_path: Path) -> None:
    structures = [{"layer": "toeplitz"}, {"layer": "toeplitz", "target": ["action_net"]}]
    settings = {**SETTINGS, "fine_tune_steps": 0, "projection": True}
    sweep = compress_sweep(make_model(), structures, target="all", out=tmp_path, **settings)
    whole, head = sweep.rows
    assert head.structure == structures[1] and "action_net" in head.name
    assert (whole.weights, head.weights) == (4 + 8 - 1 + 8 + 2 - 1, 4 * 8 + 8 + 2 - 1)
    assert (
        compress_row(make_model(), structures[1], settings=SweepSettings(**settings)).weights == 41
    )


def test_numbers_of_numpy_can_be_written(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "fine_tune_steps": np.int64(64),
        "num_episodes": np.int32(2),
        "learning_rate": np.float32(0.5),
        "projection": np.bool_(False),
        "seed": np.uint8(3),
        "distillation": Distillation(num_states=np.int64(32), num_updates=2, num_rounds=1),
    }
    compress_sweep(make_model(), STRUCTURES[:2], out=tmp_path, **settings)
    found = read_sweep(tmp_path)
    assert len(found.rows) == 2
    assert [found.settings[k] for k in ("fine_tune_steps", "learning_rate")] == [64, 0.5]


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    Sweep((row("dense", 320, 1.0),), {}).write(tmp_path)
    data = json.loads((tmp_path / "sweep.json").read_text())
    del data["rows"][0]["weights"]
    (tmp_path / "sweep.json").write_text(json.dumps(data))
    with pytest.raises(StructuredLayersError, match="damaged"):
        read_sweep(tmp_path)
