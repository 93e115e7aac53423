"""Striker's model: Pusher's arm with a paddle, a smooth ball and a goal; and its first states."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arm_model import HIDDEN, RED, WHITE, add_slides, clear_body, open_pusher
from .model_building import import_mujoco, remove, set_damping

CONTROL_RANGE = (-3.0, 3.0)
BALL_PLACE = (0.5, -0.175)
STRIKE_DISTANCE = 0.1
"""From here on the hand has struck the ball."""

WALL_ANGLES = (0.0, 0.785, -0.785)


def striker_model() -> Any:
    """Build and compile the `mujoco.MjModel` of Striker.

    Its 16 positions are seven joints of the arm, the ball's y and x, and the free joint of the
    goal: place and quaternion. Bodies are called `tips_arm`, `object` and `goal`.
    """
    spec = open_pusher()
    spec.default.geom.friction = [0.0, 0.0, 0.0]
    for geom in spec.geoms:
        geom.friction = [0.0, 0.0, 0.0]
    for actuator in spec.actuators:
        actuator.ctrlrange = CONTROL_RANGE
    _give_paddle(spec)
    _make_ball(spec)
    _make_goal(spec)
    return spec.compile()


def striker_start(
    generator: np.random.Generator, model: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the positions and velocities of one episode's beginning.

    The original draws the goal again where it is within 0.17 of the ball. No goal is: their places
    along y are at least 0.275 apart.
    """
    goal = np.array([generator.uniform(0.15, 0.7), generator.uniform(0.1, 1.0)])
    x, y = BALL_PLACE - goal
    qpos = model.qpos0.copy()
    qpos[7:9] = BALL_PLACE[::-1]
    qpos[9:11] = goal
    # The original's way to turn the goal: the last number of a quaternion that has no unit length.
    qpos[15] = -np.arctan(x / (y + 1e-8)) / 3.14
    qvel = generator.uniform(-0.1, 0.1, size=model.nv)
    qvel[7:] = 0.0
    return qpos, qvel


def _give_paddle(spec: Any) -> None:
    """Replace the fork at the wrist by a crossbar and a flat plate."""
    mujoco = import_mujoco()
    wrist = spec.body("r_wrist_roll_link")
    for prong in wrist.geoms[1:]:
        remove(spec, prong)
    plate = clear_body(spec, "tips_arm")
    plate.add_geom(
        name="tip_arml",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[0.017, 0.0, 0.0],
        size=[0.003, 0.12, 0.05],
        contype=1,
        conaffinity=1,
    )


def _make_ball(spec: Any) -> None:
    ball = clear_body(spec, "object")
    ball.pos = [0.0, 0.0, -0.270]
    ball.add_geom(
        type=import_mujoco().mjtGeom.mjGEOM_SPHERE,
        size=[0.05, 0.05, 0.05],
        rgba=RED,
        contype=1,
        conaffinity=0,
    )
    add_slides(ball, "obj", damping=0.5, armature=0.1)


def _make_goal(spec: Any) -> None:
    """Three walls around a coaster so heavy that no ball moves it, on a free joint."""
    geom_types = import_mujoco().mjtGeom
    goal = clear_body(spec, "goal")
    goal.pos = [0.0, 0.0, -0.3230]
    goal.add_geom(type=geom_types.mjGEOM_BOX, size=[0.01, 0.01, 0.01], rgba=HIDDEN)
    joint = goal.add_joint(
        name="goal_free", type=import_mujoco().mjtJoint.mjJNT_FREE, limited=0, armature=0.04
    )
    set_damping(joint, 0.0)
    for number, angle in enumerate(WALL_ANGLES):
        wall = goal.add_body(axisangle=[0.0, 0.0, 1.0, angle])
        wall.add_geom(
            type=geom_types.mjGEOM_BOX,
            pos=[0.0, 0.075, 0.04],
            size=[0.032, 0.001, 0.04],
            rgba=WHITE,
            conaffinity=1,
        )
        if number == 0:  # the order of the bodies is that of the original
            coaster = goal.add_body(name="coaster")
            coaster.add_geom(
                type=geom_types.mjGEOM_CYLINDER,
                size=[0.08, 0.001, 0.1],
                rgba=WHITE,
                density=1_000_000.0,
            )
