"""What a network costs, and how its structure compares with others."""

from .displacement_rank import displacement_rank
from .partitions import (
    adjusted_rand_index,
    partition_entropy,
    rand_index,
    recolored_edges,
    variation_of_information,
)
from .random_partitions import random_partition_entropies
from .size import Summary, summarize

__all__ = [
    "Summary",
    "adjusted_rand_index",
    "displacement_rank",
    "partition_entropy",
    "rand_index",
    "random_partition_entropies",
    "recolored_edges",
    "summarize",
    "variation_of_information",
]
