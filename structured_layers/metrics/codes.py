"""What the discrete structure of a layer costs to write down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Code:
    """Symbols, one for each edge or unit, some of which may be missing.

    Attributes:
        symbols: (n,) int64, -1 where the edge is missing.
        num_symbols: how many symbols there are besides the missing one.
    """

    symbols: Tensor
    num_symbols: int

    @property
    def bitmask_bits(self) -> int:
        """One bit an edge for which exist, if any is missing, and a fixed length per symbol."""
        return self._symbol_bits + (len(self.symbols) if self._misses_any else 0)

    @property
    def coordinate_bits(self) -> int:
        """The place of each edge that exists, if any is missing, and a fixed length per symbol."""
        place_bits = ceil_log2(len(self.symbols)) if self._misses_any else 0
        return self._symbol_bits + self._num_present * place_bits

    @property
    def _symbol_bits(self) -> int:
        return self._num_present * ceil_log2(self.num_symbols)

    @cached_property
    def _num_present(self) -> int:
        return int(torch.count_nonzero(self.symbols >= 0))

    @property
    def _misses_any(self) -> bool:
        return self._num_present < len(self.symbols)


def entropy_bits(codes: Sequence[Code]) -> float:
    """Return n·H of the common histogram of codes: what an ideal coder needs that knows it."""
    symbols = torch.cat([code.symbols for code in codes])
    counts = torch.bincount(symbols + 1).double()
    counts = counts[counts > 0]
    return float((counts * (counts.sum() / counts).log2()).sum())


def ceil_log2(count: int) -> int:
    """Return ⌈log2 count⌉, 0 for none."""
    return math.ceil(math.log2(max(1, count)))
