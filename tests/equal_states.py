"""Whether two states are the same: nested dictionaries of tensors and plain values."""

from typing import Any

import torch
from torch import Tensor


def same_state(one: Any, other: Any) -> bool:
    """Return whether all keys, tensors and values are equal."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_state(one[key], other[key]) for key in one)
    return torch.equal(one, other) if isinstance(one, Tensor) else one == other
