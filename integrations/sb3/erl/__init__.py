"""ERL and CERL: a population of actors evolved beside the learners of Stable-Baselines3."""

from .cerl import CERL
from .erl import ERL

__all__ = ["CERL", "ERL"]
