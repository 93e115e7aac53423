"""The small environments that are stepped in NumPy: one file for each."""

from .base import VectorizedOutcome, VectorizedTask
from .mountain_car import MountainCar
from .pendulum import Pendulum

VECTORIZED_TASKS: dict[str, type[VectorizedTask]] = {
    "Pendulum-v1": Pendulum,
    "MountainCarContinuous-v0": MountainCar,
}

__all__ = ["VECTORIZED_TASKS", "VectorizedOutcome", "VectorizedTask"]
