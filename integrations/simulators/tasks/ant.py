"""Ant-v5: four legs around a torso, rewarded for speed along x, with contact forces or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .base import AssetTask, Floats, Outcome, State, Step
from .terms import Pair, control_cost, healthy_outcome, normal_start, positions_and


@dataclass(frozen=True, kw_only=True)
class Ant(AssetTask):
    """Gymnasium's AntEnv.

    Contact forces are computed only if the observation or the reward has them: forces on bodies
    depend on the state, and the state never on them.
    """

    entry_point: ClassVar[str] = "gymnasium.envs.mujoco.ant_v5:AntEnv"

    xml_file: str = "ant.xml"
    frame_skip: int = 5
    forward_reward_weight: float = 1
    ctrl_cost_weight: float = 0.5
    contact_cost_weight: float = 0.0005
    healthy_reward: float = 1.0
    main_body: int | str = 1
    terminate_when_unhealthy: bool = True
    healthy_z_range: Pair = (0.2, 1.0)
    contact_force_range: Pair = (-1.0, 1.0)
    reset_noise_scale: float = 0.1
    exclude_current_positions_from_observation: bool = True
    include_cfrc_ext_in_observation: bool = True

    @property
    def contact_forces(self) -> bool:
        """Whether the observation or the reward contains them."""
        return self.include_cfrc_ext_in_observation or self.contact_cost_weight != 0

    def views(self, data: Any) -> dict[str, Floats]:
        """State, the place of the main body, forces on all bodies."""
        place = data.body(self.main_body).xpos
        return {"qpos": data.qpos, "qvel": data.qvel, "place": place, "cfrc_ext": data.cfrc_ext}

    def start(self, generator: np.random.Generator, model: Any) -> tuple[Floats, Floats]:
        """Uniform noise on the positions, normal noise on the velocities."""
        return normal_start(generator, model, self.reset_noise_scale)

    def remember(self, state: State, model: Any) -> Floats:
        """Remember the main body's x, (n, 1)."""
        return state["place"][:, :1]

    def observe(self, state: State) -> Floats:
        """Positions without x and y, velocities, clipped contact forces of all but the world."""
        skipped = 2 if self.exclude_current_positions_from_observation else 0
        if not self.include_cfrc_ext_in_observation:
            return positions_and(state, state["qvel"], skipped=skipped)
        forces = self._clipped_forces(state)[:, 1:]
        return positions_and(state, state["qvel"], forces.reshape(len(forces), -1), skipped=skipped)

    def is_healthy(self, state: State) -> NDArray[np.bool_]:
        """Torso at the right height, the bounds included, and everything finite, (n,)."""
        low, high = self.healthy_z_range
        height = state["qpos"][:, 2]
        finite = np.isfinite(state["qpos"]).all(axis=1) & np.isfinite(state["qvel"]).all(axis=1)
        healthy: NDArray[np.bool_] = finite & (low <= height) & (height <= high)
        return healthy

    def judge(self, step: Step) -> Outcome:
        """Forward velocity, the bonus for being healthy, control and contact cost."""
        place = step.state["place"][:, :1]
        velocity = (place[:, 0] - step.memory[:, 0]) / step.seconds
        squares = np.square(self._clipped_forces(step.state)).reshape(len(place), -1)
        contact_cost = self.contact_cost_weight * squares.sum(axis=-1)
        return healthy_outcome(
            self.is_healthy(step.state),
            forward=velocity * self.forward_reward_weight,
            bonus=self.healthy_reward,
            costs=control_cost(step, self.ctrl_cost_weight) + contact_cost,
            ends=self.terminate_when_unhealthy,
            memory=place,
        )

    def _clipped_forces(self, state: State) -> Floats:
        """Forces and torques on every body, (n, bodies, 6)."""
        forces: Floats = np.clip(state["cfrc_ext"], *self.contact_force_range)
        return forces
