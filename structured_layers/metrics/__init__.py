"""What a policy costs: weights, biases, bits."""

from .size import Size, size_of

__all__ = ["Size", "size_of"]
