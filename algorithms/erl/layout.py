"""Which entries of a vector of weights belong together, and how they are varied."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from structured_layers.layers import LatentLinear


class Block(NamedTuple):
    """The entries of one parameter.

    Attributes:
        start: of the first entry.
        rows: a weight matrix has one for each unit; the entries of a bias, of shared values and of
            a code are rows of one entry each.
        width: entries of a row.
        is_code: whether the entries are a latent code, whose natural spread is 1. Those of weights
            are as large as the weights themselves.
    """

    start: int
    rows: int
    width: int
    is_code: bool

    @property
    def stop(self) -> int:
        """One after the last entry."""
        return self.start + self.rows * self.width


def layout_of(network: nn.Module) -> tuple[Block, ...]:
    """Return a block for each parameter of a network, in the order of ``parameters_to_vector``."""
    codes = {id(layer.values) for layer in network.modules() if isinstance(layer, LatentLinear)}
    blocks: list[Block] = []
    start = 0
    for parameter in network.parameters():
        rows = parameter.shape[0] if parameter.ndim else 1
        width = parameter.numel() // rows if rows else 0
        blocks.append(Block(start, rows, width, id(parameter) in codes))
        start = blocks[-1].stop
    return tuple(blocks)
