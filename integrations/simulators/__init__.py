"""Environments that step many candidates at once: MuJoCo directly, or any Gymnasium environment."""

from .base import MAX_CAPACITY, Simulator, StepResult
from .gymnasium_simulator import GymnasiumSimulator
from .making import make_simulator
from .mujoco_simulator import MujocoSimulator
from .tasks import TASKS

__all__ = [
    "MAX_CAPACITY",
    "TASKS",
    "GymnasiumSimulator",
    "MujocoSimulator",
    "Simulator",
    "StepResult",
    "make_simulator",
]
