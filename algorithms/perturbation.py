"""The candidates of one generation, as the few numbers that they follow from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .directions import Directions, direction_blocks


@dataclass(frozen=True)
class Perturbation:
    """Candidates θ + σε_i, or in turn θ + σε_i and θ − σε_i, whose ε follow from a seed.

    Whoever holds θ can make any of them from this description, to the same bits: it is what
    travels to other processes instead of the candidates.

    Args:
        center: θ, (d,).
        stdev: σ.
        seed: of the directions.
        directions: their kind, a name or a function.
        num_directions: N.
        mirrored: whether each direction is taken with both signs.
    """

    center: Tensor
    stdev: float
    seed: int
    directions: str | Directions
    num_directions: int
    mirrored: bool

    def __len__(self) -> int:
        """Return the number of candidates: N, or 2N if mirrored."""
        return self.num_directions * (2 if self.mirrored else 1)

    def blocks(self) -> Iterator[Tensor]:
        """Yield ε block by block, (rows, d), each valid until the next one is asked for."""
        generator = torch.Generator().manual_seed(self.seed)
        return direction_blocks(
            self.directions, self.num_directions, len(self.center), generator, self.center.dtype
        )

    def rows(self, start: int, stop: int) -> Tensor:
        """Return the candidates ``start`` to ``stop``; those after the last are θ itself.

        Args:
            start: number of the first.
            stop: number after the last.

        Returns:
            (stop − start, d)
        """
        rows = self.center.repeat(stop - start, 1)
        if start < min(stop, len(self)):
            self.write(rows[: min(stop, len(self)) - start], start)
        return rows

    def write(self, out: Tensor, start: int = 0) -> Tensor | None:
        """Write candidates into ``out``, from number ``start`` on, as many as it has rows.

        Args:
            out: (n, d), changed in place.
            start: number of the first.

        Returns:
            ε, (N, d), if it is a single block, so that it need not be drawn again.
        """
        step = 2 if self.mirrored else 1
        stop, first = start + len(out), 0  # first: the number of the block's first candidate
        for block in self.blocks():
            last = first + step * len(block)
            for sign in (1, -1)[:step]:
                self._write(out, start, block, first + (sign < 0), sign)
            if last >= stop:
                return block if len(block) == self.num_directions else None
            first = last
        return None

    def _write(self, out: Tensor, start: int, block: Tensor, first: int, sign: int) -> None:
        """Write those candidates of a block that have one sign and lie in ``out``."""
        step = 2 if self.mirrored else 1
        skipped = max(-((first - start) // step), 0)  # rows of the block before ``start``
        at = first + skipped * step - start
        rows = block[skipped : skipped + max(-((at - len(out)) // step), 0)]
        if len(rows):
            # in place, since a block's worth of memory is a lot
            view = out[at : at + step * len(rows) : step]
            view.copy_(rows).mul_(sign * self.stdev).add_(self.center.to(view.device))
