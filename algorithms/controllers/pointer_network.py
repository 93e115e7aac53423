"""A pointer network over structures: which values an encoder read the decoder points at."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..search_spaces import SearchSpace
from .decision_blocks import IMPOSSIBLE, DecisionBlock, completions, decision_blocks

HIDDEN = 64  # units of either LSTM, of one layer
EMBEDDING = 32


class PointerNetwork(nn.Module):
    """The probability of a structure, one decision after the other.

    An encoder LSTM reads the embeddings of all values, such as the partitions of a colouring or the
    edges of an edge set. A decoder LSTM makes the decisions: its input is the embedding of the
    position (of a colouring: of the edge) plus that of the value chosen before. The attention
    q·k/√64 of its query q over the encoder's states k is the logit of each value; the query has a
    part that depends on the position only. Distinct decisions ascend, so that a set has one order:
    values at or below the last one are masked, and the logits are added to the logarithm of the
    number of sets that remain possible, so that equal logits mean a uniform choice of sets.

    Args:
        space: what is decided.
        generator: of the initial parameters.

    Reference:
        Vinyals et al., Pointer Networks, 2015 (arXiv 1506.03134); Song et al., Chromatic Networks,
        2019 (arXiv 1907.06511).
    """

    def __init__(self, space: SearchSpace, generator: torch.Generator) -> None:
        """Draw the parameters."""
        super().__init__()
        self.blocks: list[DecisionBlock] = decision_blocks(space)
        with torch.random.fork_rng(devices=[]):  # PyTorch's own draws, which _draw replaces
            self._make(space.num_decisions, sum(block.num_values for block in self.blocks))
        self._draw(generator)

    def _make(self, num_decisions: int, num_values: int) -> None:
        self.values = nn.Embedding(num_values + 1, EMBEDDING)  # the last row: nothing chosen yet
        self.positions = nn.Embedding(num_decisions, EMBEDDING)
        self.encoder = nn.LSTM(EMBEDDING, HIDDEN)
        self.decoder = nn.LSTM(EMBEDDING, HIDDEN)
        self.query = nn.Linear(HIDDEN, HIDDEN)
        self.position_queries = nn.Embedding(num_decisions, HIDDEN)
        offsets = [b.first_value for b in self.blocks for _ in range(b.start, b.stop)]
        self.register_buffer("offsets", torch.tensor(offsets), persistent=False)
        self.ways = [  # of distinct blocks, (k, values)
            completions(b.num_values, b.stop - b.start) if b.is_distinct else None
            for b in self.blocks
        ]

    offsets: Tensor

    @torch.no_grad()
    def _draw(self, generator: torch.Generator) -> None:
        for name, parameter in self.named_parameters():
            if parameter.ndim == 1 or name == "position_queries.weight":
                parameter.zero_()
            elif name in ("values.weight", "positions.weight"):
                parameter.normal_(generator=generator)
            else:  # LSTM and query: PyTorch's default, ±1/√hidden
                parameter.uniform_(-(HIDDEN**-0.5), HIDDEN**-0.5, generator=generator)

    def encode(self) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the encoder's states, one per value (V, 64), scaled, and its last state."""
        states, last = self.encoder(self.values.weight[:-1])
        return states / HIDDEN**0.5, last

    def forward(self, decisions: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return the log-probabilities of decisions and the entropies of their distributions.

        Teacher forcing: one pass of the decoder over the whole sequence.

        Args:
            decisions: (n, K) int64.
            temperature: divides the logits.

        Returns:
            (n, K) and (n, K), in nats.
        """
        keys, last = self.encode()
        rows = (decisions + self.offsets).T  # (K, n)
        start = torch.full_like(rows[:1], len(self.values.weight) - 1)
        inputs = self.values(torch.cat([start, rows[:-1]])) + self.positions.weight[:, None]
        first = tuple(part[:, None].repeat(1, len(decisions), 1) for part in last)
        hidden, _ = self.decoder(inputs, first)  # (K, n, 64)
        queries = self.query(hidden) + self.position_queries.weight[:, None]
        parts = [
            _block(block, ways, queries, keys / temperature, decisions)
            for block, ways in zip(self.blocks, self.ways, strict=True)
        ]
        log_probs, entropies = (torch.cat(part) for part in zip(*parts, strict=True))
        return log_probs.T, entropies.T


def _block(
    block: DecisionBlock, ways: Tensor | None, queries: Tensor, keys: Tensor, decisions: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the log-probabilities and entropies (k, n) of one block."""
    chosen = decisions[:, block.decisions].T  # (k, n)
    logits = queries[block.decisions] @ keys[block.rows].T  # (k, n, values)
    if ways is not None:
        previous = torch.cat([torch.full_like(chosen[:1], -1), chosen[:-1]])
        taken = torch.arange(block.num_values) <= previous[..., None]
        logits = (logits + ways[:, None]).masked_fill(taken, IMPOSSIBLE)
    log_probs = logits.log_softmax(dim=2)
    entropies = -(log_probs.exp() * log_probs).sum(dim=2)
    return log_probs.gather(2, chosen[..., None])[..., 0], entropies
