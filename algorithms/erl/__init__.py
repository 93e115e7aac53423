"""What evolves beside gradient learners: ERL and CERL without the learners themselves."""

from .evolution import EvolutionSettings, Offspring, next_generation
from .layout import Block, layout_of
from .ucb_allocation import UCBAllocation
from .variation import CROSSOVERS, Mutation, cross, mutate

__all__ = [
    "CROSSOVERS",
    "Block",
    "EvolutionSettings",
    "Mutation",
    "Offspring",
    "UCBAllocation",
    "cross",
    "layout_of",
    "mutate",
    "next_generation",
]
