"""Environments that step many candidates at once: our own tasks, or any of Gymnasium's."""

from .base import MAX_CAPACITY, Simulator, StepResult
from .envpool_simulator import EnvPoolSimulator
from .gymnasium_simulator import GymnasiumSimulator
from .making import make_simulator, warn_without_native_task
from .mujoco_simulator import MujocoSimulator
from .tasks import TASKS
from .vectorized_simulator import VectorizedSimulator
from .vectorized_tasks import VECTORIZED_TASKS

__all__ = [
    "MAX_CAPACITY",
    "TASKS",
    "VECTORIZED_TASKS",
    "EnvPoolSimulator",
    "GymnasiumSimulator",
    "MujocoSimulator",
    "Simulator",
    "StepResult",
    "VectorizedSimulator",
    "make_simulator",
    "warn_without_native_task",
]
