"""What happens in one row of a sweep, and in which order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("sb3_contrib")

from stable_baselines3 import PPO

from structured_layers.integrations.sb3 import sweep as module
from structured_layers.integrations.sb3.distillation import Distillation
from structured_layers.integrations.sb3.sweep import SweepSettings, compress_row
from structured_layers.integrations.sb3.sweep_results import Returns, Sweep, SweepRow

QUICK = Distillation(num_states=16, num_updates=2, num_rounds=1)


def make_model() -> PPO:
    return PPO(
        "MlpPolicy", "CartPole-v1", n_steps=32, batch_size=32, n_epochs=1, seed=0, device="cpu",
        policy_kwargs={"net_arch": [8]},
    ).learn(32)  # fmt: skip


def test_the_dense_row_is_trained_as_long_as_the_others(tmp_path: Path) -> None:
    model = make_model()
    settings = SweepSettings(fine_tune_steps=64, num_episodes=1, distillation=QUICK)
    for structure in ({"layer": "dense"}, {"layer": "toeplitz"}):
        row = compress_row(model, structure, settings=settings, folder=tmp_path)
        assert row.tuned is not None
        assert PPO.load(tmp_path / "model.zip", device="cpu").num_timesteps == 32 + 64


@pytest.mark.parametrize("projection", [False, True])
def test_environments_are_seeded_before_a_policy_acts_in_them(
    projection: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, events = make_model(), []
    env = model.get_env()
    seed, reset = env.seed, env.reset
    monkeypatch.setattr(env, "seed", lambda value: events.append(value) or seed(value))
    monkeypatch.setattr(env, "reset", lambda: events.append("reset") or reset())
    fine_tune = module.fine_tune_

    def tune(*args: Any) -> None:
        events.append("tune")
        fine_tune(*args)

    monkeypatch.setattr(module, "fine_tune_", tune)
    settings = SweepSettings(
        fine_tune_steps=32, num_episodes=1, distillation=QUICK, projection=projection, seed=5
    )
    compress_row(model, {"layer": "toeplitz"}, settings=settings)
    assert events[0] == 5
    assert events[events.index("tune") - 1] == 5


def test_bars_in_the_picture_are_standard_errors() -> None:
    returns = Returns(mean=10.0, std=6.0)
    sizes = {"paper": 64, "entropy": 64}
    row = SweepRow("dense", {"layer": "dense"}, 2, 0, sizes, None, returns, None, 0.5)
    (point,) = Sweep((row,), {"num_episodes": 9})._points()
    assert (point.mean, point.error) == (10.0, 2.0)
