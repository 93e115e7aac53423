"""What others reach with policies of the same shape in the same environments."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import ray
import throughput_tasks
import torch
from evotorch import SolutionBatch
from raw_physics import Workers
from throughput_evaluator import Generations, Record
from throughput_tasks import (
    CANDIDATES,
    HIDDEN,
    PROCESSES,
    ROWS,
    SEED,
    candidates_of,
    feedback,
    make_network,
    make_problem,
)
from torch import Tensor

from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.population import PopulationPolicy

CHEETAH = ROWS[0]
STEPS = 1000  # of an episode
CART_POLE = "CartPole-v1"
CART_GAINS = ((0.0, 0.0, -1.0, -0.5), (0.0, 0.0, 1.0, 0.5))  # push to where the pole falls
CART_STDEV = 5e-4


def compare(name: str, goal: float, against: str, ours: list[float], other: list[float]) -> Record:
    """How many times as fast we are, by the medians."""
    value = statistics.median(ours) / statistics.median(other)
    return {
        "row": name, "against": against, "goal": goal, "value": value, "ours": ours, "other": other,
        "times": True,
    }  # fmt: skip


def measure_gymne(ours: list[float], rounds: int) -> Record:
    """EvoTorch's own evaluator with the candidates of the HalfCheetah row."""
    perturbation, values = candidates_of(make_network(CHEETAH.env, {}), CHEETAH)
    rates = gymne_rates(CHEETAH.env, values, rounds)
    return compare(CHEETAH.name, 7, "EvoTorch GymNE, 2 actors", ours, rates)


def measure_cart_pole(rounds: int) -> Record:
    """CartPole through GymnasiumSimulator and through GymNE, balanced for 500 steps."""
    network = make_network(CART_POLE, {}, "gymnasium")
    noise = torch.randn(CANDIDATES, sum(p.numel() for p in network.parameters()),
                        generator=torch.Generator().manual_seed(SEED))  # fmt: skip
    values = feedback(network, CART_GAINS) + CART_STDEV * noise
    problem = PolicyProblem(
        CART_POLE,
        network,
        simulator="gymnasium",
        episode_length=throughput_tasks.SHORTENED,
        seed=SEED,
        num_actors=PROCESSES,
    )
    generations = Generations(problem, values)
    ours = [generations.rate() for _ in range(rounds)]
    lengths = generations.lengths()
    problem.kill_actors()
    ray.shutdown()
    print(f"CartPole: {statistics.median(ours):,.0f} env steps/s", flush=True)
    other = gymne_rates(CART_POLE, values, rounds)
    record = compare(CART_POLE, 4, "EvoTorch GymNE, 2 actors", ours, other)
    return {**record, "episode_steps": lengths}


def gymne_rates(env: str, values: Tensor, rounds: int) -> list[float]:
    """Environment steps per second of GymNE with two actors."""
    from evotorch.neuroevolution import GymNE

    problem = GymNE(
        env,
        f"Linear(obs_length, {HIDDEN}) >> Tanh() >> Linear({HIDDEN}, act_length)",
        observation_normalization=True,
        episode_length=throughput_tasks.SHORTENED,
        num_actors=PROCESSES,
    )
    batch = SolutionBatch(problem, len(values), empty=True)
    rates = []
    for number in range(rounds + 1):
        batch.set_values(values)
        before, start = problem.status.get("total_interaction_count", 0), time.perf_counter()
        problem.evaluate(batch)
        steps = problem.status["total_interaction_count"] - before
        if number:  # the first one starts the actors
            rates.append(steps / (time.perf_counter() - start))
            print(f"EvoTorch GymNE, {env}: {rates[-1]:,.0f} env steps/s", flush=True)
    problem.kill_actors()
    ray.shutdown()
    return rates


def measure_envpool(rounds: int) -> Record:
    """The same policies on EnvPool, one process per core, beside the evaluator."""
    problem = make_problem(CHEETAH)
    perturbation, values = candidates_of(problem.network, CHEETAH)
    generations = Generations(problem, values, perturbation)
    workers = Workers(_serve_envpool, PROCESSES, CHEETAH.env)
    steps = throughput_tasks.SHORTENED or STEPS
    parts = [(part, steps) for part in values.chunk(PROCESSES)]
    workers.ask(parts)
    ours, other = [], []
    for _ in range(rounds):
        ours.append(generations.rate())
        other.append(sum(workers.ask(parts)))
        print(f"EnvPool: {ours[-1]:,.0f} beside {other[-1]:,.0f} env steps/s", flush=True)
    workers.close()
    problem.kill_actors()
    ray.shutdown()
    return compare(CHEETAH.name, 1.05, "the same policies on EnvPool, 2 processes", ours, other)


def _serve_envpool(env: str) -> Callable[[Tensor, int], float]:
    """Answer with the environment steps per second of a process of its own."""
    import envpool

    network = make_network(env, {})
    count = CANDIDATES // PROCESSES
    pool = envpool.make(env, env_type="gymnasium", num_envs=count, num_threads=1, seed=SEED)
    low, high = pool.action_space.low, pool.action_space.high

    def answer(weights: Tensor, steps: int) -> float:
        policies = PopulationPolicy(network, weights)
        start = time.perf_counter()
        observations, _ = pool.reset()
        mean, std = np.zeros(observations.shape[1]), np.ones(observations.shape[1])
        totals = np.zeros(count)
        for _ in range(steps):
            actions = np.clip(policies.act((observations - mean) / std), low, high)
            observations, rewards, _, _, _ = pool.step(actions.astype(np.float64))
            totals += rewards
        return count * steps / (time.perf_counter() - start)

    return answer


def make_normalized_env() -> Any:
    """One environment as RL Zoo runs ARS: observations normalised."""
    import gymnasium
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    make = DummyVecEnv([lambda: Monitor(gymnasium.make(CHEETAH.env))])
    return VecNormalize(make, norm_reward=False)


def measure_ars(ours: list[float], rounds: int) -> Record:
    """sb3-contrib's ARS with its asynchronous evaluation."""
    from sb3_contrib import ARS
    from sb3_contrib.common.vec_env import AsyncEval

    model = ARS(
        "MlpPolicy", make_normalized_env(), n_delta=16, n_top=16, device="cpu",
        policy_kwargs={"net_arch": [HIDDEN], "activation_fn": torch.nn.Tanh},
    )  # fmt: skip
    marks = []
    update = model._do_one_update

    def timed_update(*args: Any) -> None:
        update(*args)
        marks.append((model.num_timesteps, time.perf_counter()))

    model._do_one_update = timed_update
    evaluators = AsyncEval([make_normalized_env] * PROCESSES, model.policy)
    model.learn((rounds + 1) * 32 * STEPS, async_eval=evaluators)  # 16 pairs in an update
    rates = [
        (after[0] - before[0]) / (after[1] - before[1])
        for before, after in zip(marks[:-1], marks[1:], strict=True)
    ]
    print(f"sb3-contrib ARS: {statistics.median(rates):,.0f} env steps/s", flush=True)
    return compare(CHEETAH.name, 10, "sb3-contrib ARS, 2 processes", ours, rates)
