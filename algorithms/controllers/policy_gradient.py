"""A pointer network that learns by policy gradients what to propose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from ..argument_checks import check_choice, check_integer, check_positive
from ..search_spaces import SearchSpace
from ..threads import one_thread
from .base import Controller
from .good_structures import GoodStructures, check_share
from .moving_critic import MovingCritic
from .pointer_network import PointerNetwork
from .pointer_sampling import sample_structures

Algorithm = Literal["reinforce", "ppo"]
CLIP = 0.2  # of PPO's ratios
_ENTROPY_WEIGHT = {"reinforce": 0.3, "ppo": 0.05}
_NUM_EPOCHS = {"reinforce": 1, "ppo": 2}


class PolicyGradient(Controller):
    """Samples structures from a :class:`PointerNetwork` and makes good ones more probable.

    The objectives become advantages A by a :class:`MovingCritic`. REINFORCE descends
    −A Σ_k log p(m_k) − wH, PPO −Σ_k min(r_k A, clip(r_k, 0.8, 1.2) A) − wH, where the sums are over
    the decisions k of a structure, r_k is the ratio of the probabilities after and before the
    batch's first step, and H the mean entropy of a decision; both are averaged over a batch.

    Args:
        space: what is decided.
        algorithm: ``"reinforce"`` as in Chromatic Networks, or ``"ppo"`` as in ES-ENAS.
        learning_rate: of Adam.
        entropy_weight: w; None is 0.3 for REINFORCE, as published, and 0.05 for PPO.
        critic_decay: of the critic's moving averages.
        temperature: divides the logits.
        update_batch_size: structures of one gradient step.
        num_epochs: gradient steps on each batch; None is 1 for REINFORCE and 2 for PPO.
        max_steps: gradient steps of one observation at most; of larger ones a random part is
            learned from, which bounds the time. The critic and the memory see all.
        replay_size: how many good structures are remembered; ``best`` is the one with the highest
            moving average of its objectives.
        replay_share: of the proposals that are remembered structures, in [0, 1).
        seed: of the controller's own generator; None draws one.

    Reference:
        Song et al., Chromatic Networks, 2019 (arXiv 1907.06511); Song et al., ES-ENAS, 2021
        (arXiv 2101.07415); Schulman et al., Proximal Policy Optimization, 2017 (arXiv 1707.06347).
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        algorithm: Algorithm = "ppo",
        learning_rate: float = 0.001,
        entropy_weight: float | None = None,
        critic_decay: float = 0.99,
        temperature: float = 1.0,
        update_batch_size: int = 64,
        num_epochs: int | None = None,
        max_steps: int = 2,
        replay_size: int = 32,
        replay_share: float = 0.1,
        seed: int | None = None,
    ) -> None:
        """Draw the network."""
        super().__init__(space, seed=seed)
        check_choice("algorithm", algorithm, ("reinforce", "ppo"))
        self.entropy_weight = (
            _ENTROPY_WEIGHT[algorithm] if entropy_weight is None else entropy_weight
        )
        self.num_epochs = _NUM_EPOCHS[algorithm] if num_epochs is None else num_epochs
        check_positive("learning_rate", learning_rate)
        check_positive("temperature", temperature)
        check_integer("update_batch_size", update_batch_size, 1)
        check_integer("num_epochs", self.num_epochs, 1)
        check_integer("max_steps", max_steps, self.num_epochs, meaning=", that of one batch")
        if not 0 <= self.entropy_weight < float("inf"):
            raise StructuredLayersError(f"entropy_weight must be at least 0, got {entropy_weight}")
        check_integer("replay_size", replay_size, 1)
        check_share("replay_share", replay_share)
        self.algorithm, self.temperature = algorithm, temperature
        self.update_batch_size, self.max_steps = update_batch_size, max_steps
        self.replay_share = replay_share
        self.critic = MovingCritic(critic_decay)
        self.memory = GoodStructures(space.num_decisions, size=replay_size)
        self.network = PointerNetwork(space, self.generator)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=learning_rate)
        self._first = space.sample(1, self.generator)[0]

    def propose(self, n: int) -> Tensor:
        """Return n structures, sampled or remembered: (n, K)."""
        check_integer("n", n, 1)
        uniforms = torch.rand(self.space.num_decisions, n, generator=self.generator)
        with one_thread():
            decisions, _ = sample_structures(self.network, uniforms, temperature=self.temperature)
        return self.memory.mix_in(decisions, self.replay_share, self.generator)

    def best(self) -> Tensor:
        """Return the remembered structure (K,) with the highest average objective."""
        return self.memory.best() if len(self.memory) else self._first.clone()

    def ranked(self, n: int) -> Tensor:
        """Return up to n remembered structures (m, K), by their moving averages."""
        return self.memory.members[:n].clone()

    def most_probable(self) -> Tensor:
        """Return the structure (K,) of the most probable value at each step."""
        with one_thread():
            return sample_structures(self.network, None, temperature=self.temperature)[0][0]

    def _observe(self, decisions: Tensor, objectives: Tensor) -> None:
        self.memory.observe(decisions, objectives)
        advantages = self.critic.advantages(objectives).float()
        with one_thread():
            for batch in self._batches(len(decisions)):
                self._learn(decisions[batch], advantages[batch])

    def _batches(self, n: int) -> Iterator[Tensor]:
        """Yield row numbers, each at most once, as many as the steps allow."""
        rows = torch.randperm(n, generator=self.generator)
        size = self.update_batch_size
        for batch in range(min(self.max_steps // self.num_epochs, -(-n // size))):
            yield rows[batch * size : (batch + 1) * size]

    def _learn(self, decisions: Tensor, advantages: Tensor) -> None:
        before = None
        for _ in range(self.num_epochs):
            log_probs, entropies = self.network(decisions, self.temperature)  # (n, K) each
            before = log_probs.detach() if before is None else before
            gain = self._gain(log_probs, before, advantages[:, None]).sum(dim=1).mean()
            self.optimizer.zero_grad()
            (-gain - self.entropy_weight * entropies.mean()).backward()
            self.optimizer.step()

    def _gain(self, log_probs: Tensor, before: Tensor, advantages: Tensor) -> Tensor:
        """Return what is ascended for each decision: (n, K)."""
        if self.algorithm == "reinforce":
            return advantages * log_probs
        ratio = (log_probs - before).exp()
        return torch.minimum(ratio * advantages, ratio.clamp(1 - CLIP, 1 + CLIP) * advantages)

    def _state(self) -> dict[str, Any]:
        moments = {}
        for name, parameter in self.network.named_parameters():
            state = self.optimizer.state.get(parameter, {})
            moments[name] = {key: value.clone() for key, value in state.items()}
        return {
            "network": {k: v.clone() for k, v in self.network.state_dict().items()},
            "optimizer": moments,
            "critic": self.critic.state_dict(),
            "memory": self.memory.state_dict(),
            "first": self._first,
        }

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        for name, parameter in self.network.named_parameters():
            moments = state["optimizer"][name]
            self.optimizer.state[parameter] = {key: value.clone() for key, value in moments.items()}
        self.critic.load_state_dict(state["critic"])
        self.memory.load_state_dict(state["memory"])
        self._first = state["first"]
