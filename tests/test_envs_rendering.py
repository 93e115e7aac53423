"""Pictures and windows of the environments."""

import json
import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from structured_layers.integrations.envs import ENVIRONMENTS

# Offscreen drawing has to be chosen before MuJoCo is imported, hence the process of its own.
DRAW = """
import json, sys, gymnasium
import structured_layers.integrations.envs
for env_id in json.loads(sys.argv[1]):
    env = gymnasium.make(env_id, render_mode="rgb_array", width=96, height=64)
    env.reset(seed=0)
    before = env.render().astype(float)
    for _ in range(10):
        env.step(env.action_space.sample())
    after = env.render().astype(float)
    print(json.dumps([list(before.shape), before.std(), abs(after - before).max()]))
    env.close()
"""


def test_pictures_show_something_that_moves():
    result = subprocess.run(
        [sys.executable, "-c", DRAW, json.dumps(list(ENVIRONMENTS))],
        env={**os.environ, "MUJOCO_GL": "egl"},
        capture_output=True,
        text=True,
    )
    if result.returncode and "gl" in result.stderr.splitlines()[-1].lower():
        pytest.skip("this machine cannot draw offscreen with EGL")
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == len(ENVIRONMENTS)
    for shape, contrast, change in rows:
        assert shape == [64, 96, 3]
        assert contrast > 10
        assert change > 10


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_a_window_is_drawn_at_every_step(env_id, monkeypatch):
    env = gymnasium.make(env_id, render_mode="human").unwrapped
    drawn = []
    monkeypatch.setattr(env.mujoco_renderer, "render", drawn.append)
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.zeros(env.action_space.shape, dtype=np.float32))
    assert drawn == ["human"] * 4
    env.close()
