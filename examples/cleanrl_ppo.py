"""PPO on CartPole-v1 in one file, with a policy of 17 weights.

    python examples/cleanrl_ppo.py

Written as the scripts of CleanRL: one file, from top to bottom. Only how the actor is made differs
from a script with dense layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import gymnasium as gym
import torch
import tyro
from gymnasium.vector import SyncVectorEnv
from torch import Tensor, distributions, nn

from structured_layers import ChromaticLinear, Palette, mlp, summarize

GAMMA, LAMBDA = 0.98, 0.9  # discount, and how far advantages look ahead
as_floats = partial(torch.as_tensor, dtype=torch.float32)


@dataclass(frozen=True)
class Args:
    """Settings of the run."""

    env: str = "CartPole-v1"  # An environment with a flat observation and discrete actions
    num_colors: int = 17  # Distinct weights of the actor; 0 trains a dense one
    total_steps: int = 100_000  # Steps in all environments together
    num_envs: int = 8  # Environments that run at once
    num_steps: int = 128  # Steps in each of them between two updates
    epochs: int = 8  # How often each update goes over the steps
    minibatch_size: int = 128  # Steps in one gradient
    learning_rate: float = 1e-3  # Step size of Adam at the start; it falls to zero
    seed: int = 0  # Seed of weights and environments


@dataclass
class State:
    """Where the environments are: observations, the returns so far, the finished returns."""

    observation: Tensor
    running: Tensor
    finished: list[float]


def main(args: Args) -> None:
    """Train, and print the size of the actor and the return of the last episodes."""
    torch.manual_seed(args.seed)
    envs = SyncVectorEnv([partial(gym.make, args.env)] * args.num_envs, autoreset_mode="SameStep")
    size, num_actions = envs.single_observation_space.shape[0], int(envs.single_action_space.n)
    # This is the change: every layer of the actor is a ChromaticLinear, all with one palette.
    layer = partial(ChromaticLinear, palette=Palette(args.num_colors or 1), learn_colors=True)
    actor = mlp(size, [64, 64], num_actions, layer=layer if args.num_colors else nn.Linear)
    critic = mlp(size, [64, 64], 1)
    parameters = [*actor.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(parameters, eps=1e-5)
    num_updates = max(1, args.total_steps // (args.num_envs * args.num_steps))
    state = State(as_floats(envs.reset(seed=args.seed)[0]), torch.zeros(args.num_envs), [])
    for update in range(num_updates):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - update / num_updates)
        batch = collect(envs, state, actor, critic, args)
        for _ in range(args.epochs):
            for rows in torch.randperm(len(batch[0])).split(args.minibatch_size):
                loss = ppo_loss(actor, critic, [part[rows] for part in batch])
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 0.5)
                optimizer.step()
    recent = torch.tensor(state.finished[-20:] or state.running.tolist())
    print(f"{summarize(actor).weights} weights, mean return {recent.mean():.1f}")


@torch.no_grad()
def collect(
    envs: SyncVectorEnv, state: State, actor: nn.Module, critic: nn.Module, args: Args
) -> list[Tensor]:
    """Return observations, actions, log-probabilities, advantages and targets, row by row."""
    steps: list[tuple[Tensor, ...]] = []
    for _ in range(args.num_steps):
        choice = distributions.Categorical(logits=actor(state.observation))
        action, value = choice.sample(), critic(state.observation)[:, 0]
        after, reward, ended, cut, infos = envs.step(action.numpy())
        reward, done = as_floats(reward), as_floats(ended | cut)
        state.running += reward
        state.finished += state.running[done > 0].tolist()
        state.running *= 1 - done
        for i in cut.nonzero()[0]:  # the time limit is no end: its last state has a value
            reward[i] += GAMMA * critic(as_floats(infos["final_obs"][i]))[0]
        steps.append((state.observation, action, choice.log_prob(action), value, reward, done))
        state.observation = as_floats(after)
    columns = map(torch.stack, zip(*steps, strict=True))  # (num_steps, num_envs, …)
    observations, actions, log_probs, values, rewards, dones = columns
    following = torch.cat([values[1:], critic(state.observation).T])
    errors = rewards + GAMMA * (1 - dones) * following - values
    advantages, ahead = torch.zeros_like(errors), torch.zeros(args.num_envs)
    for t in reversed(range(args.num_steps)):
        ahead = errors[t] + GAMMA * LAMBDA * (1 - dones[t]) * ahead
        advantages[t] = ahead
    batch = (observations, actions, log_probs, advantages, advantages + values)
    return [part.flatten(0, 1) for part in batch]


def ppo_loss(actor: nn.Module, critic: nn.Module, batch: list[Tensor]) -> Tensor:
    """Return the clipped objective, the value error and the entropy bonus as one loss."""
    observations, actions, log_probs, advantages, targets = batch
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    choice = distributions.Categorical(logits=actor(observations))
    ratio = (choice.log_prob(actions) - log_probs).exp()
    gain = torch.min(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages).mean()
    miss = (critic(observations)[:, 0] - targets).square().mean()
    return 0.5 * miss - gain - 0.01 * choice.entropy().mean()


if __name__ == "__main__":
    main(tyro.cli(Args))
