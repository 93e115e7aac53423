"""The candidates of one generation, as the few numbers that they follow from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .directions import Directions


@dataclass(frozen=True)
class Perturbation:
    """Candidates θ + σε_i, or in turn θ + σε_i and θ − σε_i, whose ε follow from a seed.

    Whoever holds θ can make any of them from this description, to the same bits: it is what
    travels to other processes instead of the candidates.

    Args:
        center: θ, (d,).
        stdev: σ.
        seed: of the directions.
        directions: their kind.
        num_directions: N.
        mirrored: whether each direction is taken with both signs.
    """

    center: Tensor
    stdev: float
    seed: int
    directions: Directions
    num_directions: int
    mirrored: bool

    def __len__(self) -> int:
        """Return the number of candidates: N, or 2N if mirrored."""
        return self.num_directions * (2 if self.mirrored else 1)

    def noise(self) -> Tensor:
        """Return ε, (N, d)."""
        generator = torch.Generator().manual_seed(self.seed)
        return self.directions(self.num_directions, len(self.center), generator, self.center.dtype)

    def rows(self, start: int, stop: int, *, noise: Tensor | None = None) -> Tensor:
        """Return the candidates ``start`` to ``stop``; those after the last are θ itself.

        Args:
            start: number of the first.
            stop: number after the last.
            noise: what :meth:`noise` returned, if it is at hand.

        Returns:
            (stop − start, d)
        """
        stop_perturbed = min(stop, len(self))
        rows = self.center.expand(max(stop - max(start, len(self)), 0), -1)
        if start >= stop_perturbed:
            return rows.clone()
        noise = self.noise() if noise is None else noise
        index = torch.arange(start, stop_perturbed)
        if self.mirrored:
            signs = (1 - 2 * (index % 2)).to(noise.dtype)
            perturbed = noise[index // 2] * signs[:, None]
        else:
            perturbed = noise[index]
        return torch.cat([self.center + self.stdev * perturbed, rows])
