"""Pictures of the environments, for their page.

    python benchmarks/render_environments.py

Writes docs/assets/{striker,thrower,minitaur,minitaur_pmtg}.png: moments of one episode from left to
right. The arms repeat one action, which throws the ball into the box or hits it towards the goal;
the bare Minitaur repeats one that leans, the modulated one does nothing but let its generator run.
"""

from __future__ import annotations

import os
from typing import NamedTuple

# Read when MuJoCo is imported: draw without a window.
os.environ.setdefault("MUJOCO_GL", "egl")

import gymnasium
import numpy as np
from machine import ROOT
from matplotlib.image import imsave

import structured_layers.integrations.envs  # noqa: F401  (registers)

ASSETS = ROOT / "docs" / "assets"
WIDTH, HEIGHT = 400, 320


class Scene(NamedTuple):
    """An environment, the steps after which it is drawn, and the action that it repeats."""

    env_id: str
    steps: tuple[int, ...]
    action: list[float]


SCENES = {
    "striker": Scene(
        "structured_layers/Striker-v0", (0, 10, 40), [1.1, 2.9, -1.0, -0.8, 3.0, -2.0, -1.1]
    ),
    "thrower": Scene(
        "structured_layers/Thrower-v0", (0, 7, 10), [-4.6, -7.2, -9.0, -4.2, -12.7, 8.3, 11.0]
    ),
    "minitaur": Scene(
        "structured_layers/Minitaur-v0", (0, 100), [0.4, 0.4, 0.4, 0.4, 0.3, -0.6, 0.3, -0.6]
    ),
    "minitaur_pmtg": Scene("structured_layers/MinitaurPMTG-v0", (0, 150, 300), [0.0] * 13),
}


def moments(scene: Scene) -> np.ndarray:
    """The moments side by side, (height, width, 3)."""
    env = gymnasium.make(scene.env_id, render_mode="rgb_array", width=WIDTH, height=HEIGHT)
    env.reset(seed=0)
    pictures = []
    for step in range(scene.steps[-1] + 1):
        if step in scene.steps:
            pictures.append(env.render())
        env.step(np.array(scene.action, dtype=np.float32))
    env.close()
    return np.concatenate(pictures, axis=1)


if __name__ == "__main__":
    for name, scene in SCENES.items():
        imsave(ASSETS / f"{name}.png", moments(scene))
        print(f"docs/assets/{name}.png")
