"""The MuJoCo tasks that run without Gymnasium's step: one small file of functions for each."""

from .base import Outcome, Task, Transition
from .half_cheetah import HALF_CHEETAH
from .hopper import HOPPER
from .swimmer import SWIMMER
from .walker2d import WALKER2D

TASKS: dict[str, Task] = {
    "Swimmer-v5": SWIMMER,
    "HalfCheetah-v5": HALF_CHEETAH,
    "Hopper-v5": HOPPER,
    "Walker2d-v5": WALKER2D,
}

__all__ = ["TASKS", "Outcome", "Task", "Transition"]
