"""PPO with TorchRL on CartPole-v1: structured layers through ``MLP(layer_class=...)``.

    python examples/torchrl_ppo.py

``layer_class`` is a layer, or a ``functools.partial`` of one that needs keywords.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import tyro
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs import Compose, GymEnv, InitTracker, RewardSum, TransformedEnv
from torchrl.modules import MLP, OneHotCategorical, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from structured_layers import ChromaticLinear, Palette, ToeplitzLinear, summarize


@dataclass(frozen=True)
class Args:
    """Settings of the run."""

    env: str = "CartPole-v1"  # An environment with a flat observation and discrete actions
    layer: Literal["dense", "toeplitz", "chromatic"] = "toeplitz"  # Of which the actor is made
    num_colors: int = 17  # Distinct weights of a chromatic actor
    total_steps: int = 50_000  # Steps in the environment
    batch_steps: int = 1024  # Steps between two updates
    epochs: int = 8  # How often each update goes over the steps
    minibatch_size: int = 128  # Steps in one gradient
    learning_rate: float = 1e-3  # Step size of Adam
    seed: int = 0  # Seed of weights and environment


def main(args: Args) -> None:
    """Train, and print the size of the actor and the return of the last episodes."""
    torch.manual_seed(args.seed)
    env = TransformedEnv(GymEnv(args.env), Compose(InitTracker(), RewardSum()))
    env.set_seed(args.seed)
    size, num_actions = env.observation_spec["observation"].shape[-1], env.action_spec.shape[-1]
    layers = {
        "dense": nn.Linear,
        "toeplitz": ToeplitzLinear,
        "chromatic": partial(ChromaticLinear, palette=Palette(args.num_colors), learn_colors=True),
    }
    # This is the change: layer_class. The input size is needed, there are no lazy layers.
    network = MLP(size, num_actions, num_cells=[64, 64], layer_class=layers[args.layer])
    actor = ProbabilisticActor(
        TensorDictModule(network, in_keys=["observation"], out_keys=["logits"]),
        in_keys=["logits"],
        spec=env.action_spec,
        distribution_class=OneHotCategorical,
        return_log_prob=True,
    )
    critic = ValueOperator(MLP(size, 1, num_cells=[64, 64]), in_keys=["observation"])
    returns = train(env, actor, critic, args)
    recent = returns[-20:] or [float("nan")]  # none if no episode ended
    print(f"{summarize(network).weights} weights, mean return {sum(recent) / len(recent):.1f}")


def train(
    env: TransformedEnv, actor: ProbabilisticActor, critic: ValueOperator, args: Args
) -> list[float]:
    """Train with PPO and return the returns of all finished episodes."""
    advantages = GAE(gamma=0.98, lmbda=0.9, value_network=critic, average_gae=True)
    objective = ClipPPOLoss(actor, critic, entropy_coeff=0.01, critic_coeff=0.5)
    optimizer = torch.optim.Adam(objective.parameters(), lr=args.learning_rate)
    collector = Collector(
        env, actor, frames_per_batch=args.batch_steps, total_frames=args.total_steps
    )
    returns: list[float] = []
    for steps in collector:
        finished = steps["next", "done"]
        returns += steps["next", "episode_reward"][finished].tolist()
        for _ in range(args.epochs):
            with torch.no_grad():
                advantages(steps)
            for rows in torch.randperm(len(steps)).split(args.minibatch_size):
                losses = objective(steps[rows])
                loss = sum(value for name, value in losses.items() if name.startswith("loss_"))
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(objective.parameters(), 0.5)
                optimizer.step()
    collector.shutdown()
    return returns


if __name__ == "__main__":
    main(tyro.cli(Args))
