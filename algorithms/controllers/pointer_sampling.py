"""Sampling from a pointer network: step by step in NumPy, many structures at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .decision_blocks import IMPOSSIBLE
from .pointer_network import HIDDEN, PointerNetwork

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


class _Tables(NamedTuple):
    """What a step looks up instead of computing it: the network's weights, multiplied out."""

    recurrent: Tensor  # (64, 256): state to gates
    value_gates: Floats  # (values + 1, 256): by what was chosen before
    position_gates: Floats  # (K, 256)
    pointers: list[Tensor]  # per block (64, values): state to logits
    position_logits: list[Floats]  # per block (k, values)


def sample_structures(
    network: PointerNetwork, uniforms: Tensor | None, n: int = 1, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Draw structures from a pointer network.

    Args:
        network: whose decoder runs.
        uniforms: (K, n) in [0, 1), the random numbers that choose; None takes the most probable
            value each time.
        n: how many structures, where there are no uniforms.
        temperature: divides the logits.

    Returns:
        the decisions (n, K), and their log-probabilities (n, K).
    """
    n = n if uniforms is None else uniforms.shape[1]
    with torch.no_grad():
        tables, hidden, cell = _tables(network, n, temperature)
    decisions = np.empty((len(tables.position_gates), n), dtype=np.int64)
    log_probs = np.empty(decisions.shape, dtype=np.float32)
    lots = None if uniforms is None else uniforms.numpy()
    decoder = _Decoder(tables, hidden, cell)
    last_rows = np.full(n, len(tables.value_gates) - 1)
    for number, block in enumerate(network.blocks):
        previous = np.full(n, -1)
        for k in range(block.start, block.stop):
            decoder.step(last_rows, k)
            logits = decoder.logits(number, k - block.start)
            if block.is_distinct:
                logits[np.arange(block.num_values) <= previous[:, None]] = IMPOSSIBLE
            previous, log_probs[k] = _choose(logits, None if lots is None else lots[k])
            decisions[k] = previous
            last_rows = previous + block.first_value
    return torch.from_numpy(decisions.T.copy()), torch.from_numpy(log_probs.T.copy())


class _Decoder:
    """The LSTM cell: σ(x) = ½ + ½ tanh(x/2), so that one tanh serves all gates."""

    def __init__(self, tables: _Tables, hidden: Tensor, cell: Floats) -> None:
        n = len(cell)
        self.tables, self.hidden, self.cell = tables, hidden, cell
        self._state = hidden.numpy()  # the same memory
        self._gates = torch.empty(n, 4 * HIDDEN)
        self._product = np.empty_like(cell)
        self._logits = [torch.empty(n, pointer.shape[1]) for pointer in tables.pointers]

    def step(self, last_rows: Indices, k: int) -> None:
        """Advance the state by the input of decision k."""
        gates = self._gates.numpy()
        np.take(self.tables.value_gates, last_rows, axis=0, out=gates, mode="clip")
        gates += self.tables.position_gates[k]
        torch.addmm(self._gates, self.hidden, self.tables.recurrent, out=self._gates)
        np.tanh(gates, out=gates)
        opening = gates[:, : 3 * HIDDEN]
        opening *= 0.5
        opening += 0.5
        enter, keep, show, new = (gates[:, i * HIDDEN : (i + 1) * HIDDEN] for i in range(4))
        self.cell *= keep
        self.cell += np.multiply(enter, new, out=self._product)
        np.multiply(np.tanh(self.cell, out=self._product), show, out=self._state)

    def logits(self, block: int, k: int) -> Floats:
        """Return the logits (n, values) of a block's decision k; the next call overwrites them."""
        out = self._logits[block]
        torch.mm(self.hidden, self.tables.pointers[block], out=out)
        logits: Floats = out.numpy()
        logits += self.tables.position_logits[block][k]
        return logits


def _choose(logits: Floats, lots: Floats | None) -> tuple[Indices, Floats]:
    """Return the chosen values (n,) and their log-probabilities."""
    rows = np.arange(len(logits))
    logits -= logits.max(axis=1, keepdims=True)
    weights = np.exp(logits).cumsum(axis=1)
    total = weights[:, -1]
    if lots is None:
        chosen = logits.argmax(axis=1)
    else:
        chosen = (weights <= (lots * total)[:, None]).sum(axis=1)
        # rounding may point behind the last value that is possible
        wrong = np.flatnonzero(chosen >= logits.shape[1])
        chosen[wrong] = logits[wrong].argmax(axis=1)
    return chosen, logits[rows, chosen] - np.log(total)


def _tables(network: PointerNetwork, n: int, temperature: float) -> tuple[_Tables, Tensor, Floats]:
    """Return the tables and the decoder's first state."""
    weight_ih, weight_hh, bias_ih, bias_hh = network.decoder.all_weights[0]
    order = _gate_order()
    half = torch.ones(4 * HIDDEN)
    half[: 3 * HIDDEN] = 0.5
    into, recurrent, bias = weight_ih[order], weight_hh[order], (bias_ih + bias_hh)[order]
    keys, (hidden, cell) = network.encode()
    keys = keys / temperature
    pointers, position_logits = [], []
    for block, ways in zip(network.blocks, network.ways, strict=True):
        block_keys = keys[block.rows]
        queries = network.position_queries.weight[block.decisions] + network.query.bias
        logits = queries @ block_keys.T
        position_logits.append((logits if ways is None else logits + ways).numpy())
        pointers.append((block_keys @ network.query.weight).T.contiguous())
    tables = _Tables(
        (recurrent.T * half).contiguous(),
        (network.values.weight @ into.T * half).numpy(),
        ((network.positions.weight @ into.T + bias) * half).numpy(),
        pointers,
        position_logits,
    )
    return tables, hidden.repeat(n, 1), cell.repeat(n, 1).numpy()


def _gate_order() -> Tensor:
    """PyTorch's gates input, forget, cell, output as input, forget, output, cell."""
    return torch.arange(4 * HIDDEN).view(4, HIDDEN)[[0, 1, 3, 2]].flatten()
