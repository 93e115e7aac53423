"""The evaluator against a plain loop, for episodes that end and fail as they like."""

from collections import Counter
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from evotorch import SolutionBatch
from hypothesis import given, settings
from hypothesis import strategies as st
from patterned_env import Patterned, read_log

from structured_layers import mlp
from structured_layers.errors import EvaluationError
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.integrations.evotorch.normalizer import ObservationNormalizer
from structured_layers.integrations.evotorch.rollouts import Normalization, Rollouts, rollout
from structured_layers.integrations.simulators import make_simulator
from structured_layers.population import PopulationPolicy

NETWORK = mlp(3, [4], 1)
NUM_WEIGHTS = sum(p.numel() for p in NETWORK.parameters())
COLUMNS = (
    *("rewards", "alive_bonus", "steps", "failed"),
    *("observation_sum", "observation_sum_of_squares"),
)


@dataclass
class Case:
    """A generation of random policies in random episodes."""

    population: int
    capacity: int
    num_episodes: int
    episode_length: int
    longest: int
    failing: float
    seed: int

    def weights(self) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn(self.population, NUM_WEIGHTS, generator=generator)

    def seeds(self) -> list[list[int]]:
        """Different for every episode, and in no order."""
        numbers = np.random.default_rng(self.seed).permutation(self.population * self.num_episodes)
        return numbers.reshape(self.population, self.num_episodes).tolist()

    def env(self, log: str | None = None) -> partial[Patterned]:
        return partial(Patterned, self.longest, self.failing, log)

    def normalization(self) -> Normalization:
        return Normalization(np.array([0.5, -1.0, 0.25]), np.array([2.0, 1.0, 3.0]))

    def rollouts(self, capacity: int, rows: slice = slice(None)) -> Rollouts:
        simulator = make_simulator(self.env(), simulator="gymnasium", capacity=capacity)
        return rollout(
            PopulationPolicy(NETWORK, self.weights()[rows]),
            simulator,
            self.seeds()[rows],
            episode_length=self.episode_length,
            normalization=self.normalization(),
        )


CASES = st.builds(
    Case,
    population=st.integers(1, 300),
    capacity=st.integers(1, 256),
    num_episodes=st.integers(1, 3),
    episode_length=st.integers(1, 15),
    longest=st.integers(1, 12),
    failing=st.sampled_from([0.0, 0.0, 0.1, 1.0]),
    seed=st.integers(0, 10**6),
)


def plain_loop(case: Case, seeds: list[list[int]], normalization: Normalization | None) -> Rollouts:
    """Run one episode after the other in one environment, one policy at a time."""
    result = Rollouts.empty(case.population, 3)
    weights, env = case.weights(), case.env()()
    for row in range(case.population):
        policy = PopulationPolicy(NETWORK, weights[row : row + 1])
        for seed in seeds[row]:
            plain_episode(policy, env, seed, case.episode_length, normalization, result, row)
    return result


def plain_episode(policy, env, seed, length, normalization, result: Rollouts, row: int) -> None:
    try:
        observation, _ = env.reset(seed=seed)
        rewards = bonuses = 0.0
        for _ in range(length):
            result.observation_sum[row] += observation
            result.observation_sum_of_squares[row] += observation**2
            result.steps[row] += 1
            if normalization is not None:
                observation = (observation - normalization.mean) / normalization.std
            action = np.clip(policy.act(observation[None])[0], -1, 1)
            observation, reward, terminated, truncated, info = env.step(action)
            if not (np.isfinite(reward) and np.isfinite(observation).all()):
                raise RuntimeError("not finite")
            rewards += reward - info["reward_survive"]
            bonuses += info["reward_survive"]
            if terminated or truncated:
                break
        result.rewards[row] += rewards
        result.alive_bonus[row] += bonuses
    except RuntimeError:
        result.failed[row] = True


def assert_same_rows(actual: Rollouts, expected: Rollouts) -> None:
    """The same bits, but for the rewards of candidates that failed, which nobody reads."""
    assert np.array_equal(actual.failed, expected.failed)
    for name in COLUMNS:
        rows = ~expected.failed if name in ("rewards", "alive_bonus") else slice(None)
        assert np.array_equal(getattr(actual, name)[rows], getattr(expected, name)[rows]), name


@settings(max_examples=25)
@given(case=CASES)
def test_rows_are_those_of_a_plain_loop_and_every_episode_runs_once(case: Case) -> None:
    Patterned.calls.clear()
    rollouts = case.rollouts(case.capacity)
    calls = dict(Patterned.calls)
    resets = {seed: n for (call, seed), n in calls.items() if call == "reset"}
    assert resets == {seed: 1 for seeds in case.seeds() for seed in seeds}
    for seeds, steps in zip(case.seeds(), rollouts.steps, strict=True):
        assert steps == sum(calls.get(("step", seed), 0) for seed in seeds)
    assert_same_rows(rollouts, plain_loop(case, case.seeds(), case.normalization()))


@settings(max_examples=25)
@given(case=CASES, other=st.integers(1, 256), cuts=st.lists(st.integers(0, 300), max_size=4))
def test_rows_do_not_depend_on_capacity_and_chunks(case: Case, other: int, cuts: list[int]) -> None:
    bounds = sorted({0, case.population, *(cut % (case.population + 1) for cut in cuts)})
    chunks = [
        case.rollouts(other, slice(start, stop))
        for start, stop in zip(bounds[:-1], bounds[1:], strict=True)
    ]
    whole, parts = case.rollouts(case.capacity), Rollouts.concatenate(chunks)
    for name in COLUMNS:
        assert getattr(whole, name).tobytes() == getattr(parts, name).tobytes(), name


@settings(max_examples=15)
@given(case=CASES)
def test_a_generation_is_counted_as_a_plain_loop_counts_it(case: Case) -> None:
    problem = PolicyProblem(
        case.env(),
        NETWORK,
        simulator="gymnasium",
        num_episodes=case.num_episodes,
        episode_length=case.episode_length,
        capacity=case.capacity,
        seed=case.seed,
    )
    Patterned.calls.clear()
    check_generations(problem, case, lambda: Patterned.calls)


def check_generations(problem: PolicyProblem, case: Case, calls) -> None:
    """Evaluate two generations, the second one normalised by the first, and compare each."""
    normalizer = ObservationNormalizer(3)
    normalizer.load_state_dict(problem.normalizer.state_dict())
    for _ in range(2):
        taken, made = problem.env_steps, Counter(calls())
        seeds = [problem._episode_seeds(row) for row in range(case.population)]
        batch = SolutionBatch(problem, case.population, empty=True)
        batch.set_values(case.weights())
        try:
            problem.evaluate(batch)
        except EvaluationError:
            batch = None
        new = Counter(calls()) - made
        resets = {seed: n for (call, seed), n in new.items() if call == "reset"}
        assert resets == {seed: 1 for row in seeds for seed in row}
        num_steps = sum(n for (call, _), n in new.items() if call == "step")
        assert problem.env_steps - taken == num_steps
        expected = plain_loop(case, seeds, Normalization(normalizer.mean, normalizer.std))
        assert num_steps == expected.steps.sum()
        too_many = expected.failed.sum() > 0.4 * case.population
        assert (batch is None) == too_many
        if batch is None:
            return
        merge(normalizer, expected)
        assert_same_statistics(problem.normalizer, normalizer)
        assert_evaluations(batch, expected, case.num_episodes)


def merge(normalizer: ObservationNormalizer, expected: Rollouts) -> None:
    for row in np.flatnonzero(~expected.failed):
        normalizer.count += int(expected.steps[row])
        normalizer.sum += expected.observation_sum[row]
        normalizer.sum_of_squares += expected.observation_sum_of_squares[row]


def assert_same_statistics(one: ObservationNormalizer, other: ObservationNormalizer) -> None:
    assert one.count == other.count
    assert np.array_equal(one.sum, other.sum)
    assert np.array_equal(one.sum_of_squares, other.sum_of_squares)


def assert_evaluations(batch: SolutionBatch, expected: Rollouts, num_episodes: int) -> None:
    good = ~expected.failed
    returns = (expected.rewards / num_episodes).astype(np.float32)
    fitness = np.where(good, returns, returns[good].min())
    evals = batch.evals.numpy()
    assert np.array_equal(evals[:, 0], fitness)
    assert np.array_equal(evals[:, 2], expected.steps)
    assert np.array_equal(evals[:, 3].astype(bool), expected.failed)


@pytest.fixture(scope="module")
def spread(ray_session, tmp_path_factory: pytest.TempPathFactory):
    """A problem with two actors, whose environments write their calls into one file."""
    log = str(tmp_path_factory.mktemp("actors") / "calls")
    open(log, "w").close()
    problem = PolicyProblem(
        partial(Patterned, 12, 0.05, log),
        NETWORK,
        simulator="gymnasium",
        num_episodes=2,
        episode_length=10,
        capacity=7,
        seed=5,
        num_actors=2,
    )
    yield problem, log
    problem.kill_actors()


@pytest.mark.xdist_group("ray")
@settings(max_examples=3)
@given(population=st.integers(1, 300), seed=st.integers(0, 10**6))
def test_two_actors_count_as_a_plain_loop_does(spread, population: int, seed: int) -> None:
    problem, log = spread
    case = Case(population, 7, 2, 10, 12, 0.05, seed)
    check_generations(problem, case, lambda: read_log(log))
