"""Humanoid-v5: a body with arms and legs that has to stay upright while it walks forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .base import AssetTask, Floats, Outcome, State, Step
from .terms import Pair, between, healthy_outcome, positions_and, uniform_start


@dataclass(frozen=True, kw_only=True)
class Humanoid(AssetTask):
    """Gymnasium's HumanoidEnv."""

    entry_point: ClassVar[str] = "gymnasium.envs.mujoco.humanoid_v5:HumanoidEnv"

    xml_file: str = "humanoid.xml"
    frame_skip: int = 5
    forward_reward_weight: float = 1.25
    ctrl_cost_weight: float = 0.1
    contact_cost_weight: float = 5e-7
    contact_cost_range: Pair = (-float("inf"), 10.0)
    healthy_reward: float = 5.0
    terminate_when_unhealthy: bool = True
    healthy_z_range: Pair = (1.0, 2.0)
    reset_noise_scale: float = 0.01
    exclude_current_positions_from_observation: bool = True
    include_cinert_in_observation: bool = True
    include_cvel_in_observation: bool = True
    include_qfrc_actuator_in_observation: bool = True
    include_cfrc_ext_in_observation: bool = True

    @property
    def contact_forces(self) -> bool:
        """Whether the observation or the reward contains them."""
        return self.include_cfrc_ext_in_observation or self.contact_cost_weight != 0

    def views(self, data: Any) -> dict[str, Floats]:
        """State, centres of mass, and per body inertia, velocity and forces."""
        return {
            "qpos": data.qpos,
            "qvel": data.qvel,
            "xipos": data.xipos,
            "cfrc_ext": data.cfrc_ext,
            **{name: getattr(data, name) for name in self._extra_names() if name != "cfrc_ext"},
        }

    def start(self, generator: np.random.Generator, model: Any) -> tuple[Floats, Floats]:
        """Uniform noise on positions and velocities."""
        return uniform_start(generator, model, self.reset_noise_scale)

    def remember(self, state: State, model: Any) -> Floats:
        """Remember x of the centre of mass, (n, 1)."""
        return _center_x(state, model)[:, None]

    def observe(self, state: State) -> Floats:
        """Positions without x and y, velocities, and what is included of all bodies but the world.

        Actuator forces leave out the free joint's six.
        """
        skipped = 2 if self.exclude_current_positions_from_observation else 0
        extras = [
            state[name][:, 6 if name == "qfrc_actuator" else 1 :] for name in self._extra_names()
        ]
        flat = [values.reshape(len(values), -1) for values in extras]
        return positions_and(state, state["qvel"], *flat, skipped=skipped)

    def judge(self, step: Step) -> Outcome:
        """Forward velocity, the bonus for being upright, control and contact cost."""
        state = step.state
        center = _center_x(state, step.model)
        forward = self.forward_reward_weight * ((center - step.memory[:, 0]) / step.seconds)
        # Gymnasium squares MuJoCo's own copy of the controls here, which is in double precision.
        controls = step.actions.astype(np.float64)
        control_cost = self.ctrl_cost_weight * np.square(controls).sum(axis=-1)
        squares = np.square(state["cfrc_ext"]).reshape(len(center), -1)
        contact_cost = self.contact_cost_weight * squares.sum(axis=-1)
        return healthy_outcome(
            between(state["qpos"][:, 2], self.healthy_z_range),
            forward=forward,
            bonus=self.healthy_reward,
            costs=control_cost + np.clip(contact_cost, *self.contact_cost_range),
            ends=self.terminate_when_unhealthy,
            memory=center[:, None],
        )

    def _extra_names(self) -> list[str]:
        """Fields of MjData in the observation, in its order."""
        included = {
            "cinert": self.include_cinert_in_observation,
            "cvel": self.include_cvel_in_observation,
            "qfrc_actuator": self.include_qfrc_actuator_in_observation,
            "cfrc_ext": self.include_cfrc_ext_in_observation,
        }
        return [name for name, is_in in included.items() if is_in]


def _center_x(state: State, model: Any) -> Floats:
    """Where the whole body's centre of mass is along x, (n,)."""
    masses = model.body_mass
    center: Floats = np.einsum("b,nbj->nj", masses, state["xipos"])[:, 0] / masses.sum()
    return center
