"""PolicyProblem: the same numbers however the candidates are spread, and what failures do."""

import copy
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from drift_envs import Drift, KillsItsProcessOnce, Picture, Troubled, UnableToStart
from evotorch import SolutionBatch
from evotorch.algorithms import CMAES, PGPE, SNES
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from structured_layers import ChromaticLinear, MaskedLinear, Palette, ToeplitzLinear, mlp
from structured_layers.algorithms import (
    ES,
    ESENAS,
    FixedPopulation,
    RandomSearch,
    RegularizedEvolution,
    SearchSpace,
)
from structured_layers.errors import EvaluationError, StructuredLayersError
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.integrations.evotorch.actors import chunk_slices

CONTROLLERS = [
    partial(RegularizedEvolution, population_size=12),
    RandomSearch,
    partial(FixedPopulation, population_size=5),
]


def chromatic(in_features=8, out_features=2, hidden=(4,)):
    layer = partial(ChromaticLinear, palette=Palette(5))
    return mlp(in_features, hidden, out_features, layer=layer, output_bias=False)


def drift_problem(env=Drift, **settings):
    settings = {"seed": 0, "episode_length": 30, **settings}
    return PolicyProblem(env, mlp(3, [4], 2), **settings)


def evaluated(problem, values):
    batch = SolutionBatch(problem, len(values), empty=True)
    batch.set_values(values)
    problem.evaluate(batch)
    return batch.evals.as_subclass(torch.Tensor).clone()


def some_values(problem, n=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, problem.solution_length, generator=generator)


def assert_same_tree(one, other):
    """The same keys, and the same bits in every number and tensor."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same_tree(one[key], other[key])
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    else:
        assert one == other


def three_generations(controller=CONTROLLERS[0], network=None, popsize=12, **settings):
    network = copy.deepcopy(network) if network is not None else chromatic()
    space = SearchSpace.of(network) if "num_kept" not in settings else None
    space = space or SearchSpace.of(network, num_kept=settings.pop("num_kept"))
    problem = PolicyProblem(
        settings.pop("env", "Swimmer-v5"),
        network,
        search_space=space,
        episode_length=50,
        seed=3,
        **settings,
    )
    search = ESENAS(
        problem,
        controller(space, seed=1),
        popsize=popsize,
        center_init=parameters_to_vector(network.parameters()).detach(),
        num_center_evaluations=3,
        seed=2,
    )
    evals = []
    for _ in range(3):
        search.step()
        evals += [search.population.evals.clone(), search.center_population.evals.clone()]
    if problem.actors is not None:
        problem.kill_actors()
    return {"evals": torch.cat(evals).as_subclass(torch.Tensor), "state": search.state_dict()}


@pytest.mark.xdist_group("ray")
def test_the_number_of_actors_changes_no_bit(ray_session):
    generations = partial(three_generations, network=chromatic(11, 3), env="Hopper-v5", popsize=60)
    alone = generations()
    for num_actors in (2, 3):
        assert len(chunk_slices(63, num_actors)) >= num_actors  # each has something to do
        assert_same_tree(generations(num_actors=num_actors), alone)


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("num_actors", [0, 2, 3, 16])
@pytest.mark.parametrize("num_candidates", [1, 2, 17, 63, 160, 1000])
def test_chunks_hold_every_candidate_once_in_order(num_candidates, num_actors, long):
    chunks = chunk_slices(num_candidates, num_actors, long=long)
    rows = [row for chunk in chunks for row in range(num_candidates)[chunk]]
    assert rows == list(range(num_candidates))
    assert all(chunk.stop > chunk.start for chunk in chunks)


def test_chunks_are_long_where_episodes_end_early(monkeypatch):
    monkeypatch.setattr(
        "structured_layers.integrations.evotorch.policy_problem.SHORT_GENERATION", 0
    )
    problem = PolicyProblem("Hopper-v5", mlp(11, [], 3), seed=0, episode_length=30)
    assert len(chunk_slices(128, 2)) == 4
    assert len(chunk_slices(128, 2, long=True)) == 2
    lengths = []
    for length in (5, 30):  # nobody falls within 5 steps
        problem.episode_length = length
        problem.evaluate(problem.generate_batch(40))
        lengths.append(problem._long_chunks)
    assert lengths == [False, True]


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_the_capacity_changes_no_bit(controller):
    network = chromatic()
    whole = three_generations(controller, network, capacity=128)
    for capacity in (1, 3):
        assert_same_tree(three_generations(controller, network, capacity=capacity), whole)


def test_the_capacity_changes_no_bit_where_episodes_end_early_and_fail():
    values = some_values(drift_problem())
    expected = [evaluated(p := drift_problem(Troubled, num_episodes=2), values), p.state_dict()]
    for capacity in (1, 3):
        problem = drift_problem(Troubled, num_episodes=2, capacity=capacity)
        assert torch.equal(evaluated(problem, values), expected[0])
        assert_same_tree(problem.state_dict(), expected[1])


def test_both_simulators_give_the_same_bits():
    network = mlp(8, [], 2, layer=partial(MaskedLinear))
    results = [
        three_generations(network=network, num_kept=5, simulator=simulator)
        for simulator in ("mujoco", "gymnasium")
    ]
    assert_same_tree(*results)


def test_a_restart_between_generations_changes_no_bit():
    values = some_values(drift_problem())
    undisturbed, stopped, resumed = drift_problem(), drift_problem(), drift_problem(seed=9)
    first = evaluated(undisturbed, values)
    assert torch.equal(evaluated(stopped, values), first)
    resumed.load_state_dict(copy.deepcopy(stopped.state_dict()))
    second = evaluated(undisturbed, values)
    assert torch.equal(evaluated(resumed, values), second)
    assert not torch.equal(first, second)  # fresh episodes in every generation


@pytest.mark.xdist_group("ray")
def test_an_actor_that_dies_is_replaced_and_nobody_notices(tmp_path, ray_session):
    values = some_values(drift_problem(), n=40)
    expected = evaluated(drift_problem(), values)
    env = partial(KillsItsProcessOnce, str(tmp_path))
    problem = drift_problem(env, num_actors=2)
    assert torch.equal(evaluated(problem, values), expected)
    assert (tmp_path / "died").exists()


def episode_seed(run_seed, generation, candidate, episode):
    sequence = np.random.SeedSequence(run_seed, spawn_key=(generation, candidate, episode))
    return int(sequence.generate_state(1)[0] >> 1)


def act(network, observation):
    """A Linear-Tanh-Linear network in float32 NumPy."""
    x = observation.astype(np.float32)[None]
    for module in network:
        if isinstance(module, nn.Tanh):
            x = np.tanh(x)
        else:
            x = np.matmul(x, np.ascontiguousarray(module.weight.detach().numpy().T))
            x += module.bias.detach().numpy()
    return x[0]


def play(env, network, seed, mean, std, episode_length):
    """One episode: its reward, its alive bonus, and the observations that were acted on."""
    observation, _ = env.reset(seed=seed)
    reward_sum = bonus_sum = 0.0
    seen = []
    for _ in range(episode_length):
        seen.append(np.asarray(observation, dtype=np.float64))
        action = act(network, (seen[-1] - mean) / std)
        action = np.clip(action, env.action_space.low, env.action_space.high)
        observation, reward, terminated, truncated, info = env.step(action.astype(np.float32))
        bonus = info.get("reward_survive", 0.0)
        reward_sum += reward - bonus
        bonus_sum += bonus
        if terminated or truncated:
            break
    return reward_sum, bonus_sum, seen


class Sequential:
    """A PolicyProblem written down as three loops."""

    def __init__(self, env_id, network, num_episodes=1, episode_length=60):
        self.env = gymnasium.make(env_id)
        self.network, self.num_episodes = copy.deepcopy(network), num_episodes
        self.episode_length = episode_length
        size = self.env.observation_space.shape[0]
        self.count, self.sum, self.squares = 0, np.zeros(size), np.zeros(size)
        self.generation = 0

    def moments(self):
        if self.count == 0:
            return 0.0, 1.0
        mean = self.sum / self.count
        return mean, np.sqrt(self.squares / self.count - mean**2)

    def evaluate(self, values, run_seed):
        rows, (mean, std) = [], self.moments()
        merged = [np.zeros_like(self.sum), np.zeros_like(self.sum)]
        for candidate, row in enumerate(values):
            vector_to_parameters(row, self.network.parameters())
            reward = bonus = steps = 0.0
            sums = [np.zeros_like(self.sum), np.zeros_like(self.sum)]
            for episode in range(self.num_episodes):
                seed = episode_seed(run_seed, self.generation, candidate, episode)
                r, b, seen = play(self.env, self.network, seed, mean, std, self.episode_length)
                reward, bonus, steps = reward + r, bonus + b, steps + len(seen)
                self.add(sums, seen)
            rows.append((reward, bonus, steps))
            merged = [total + part for total, part in zip(merged, sums, strict=True)]
            self.count += int(steps)
        self.sum, self.squares = self.sum + merged[0], self.squares + merged[1]
        self.generation += 1
        return np.array(rows)

    @staticmethod
    def add(sums, seen):
        first, second = np.zeros_like(sums[0]), np.zeros_like(sums[1])
        for observation in seen:
            first, second = first + observation, second + observation * observation
        sums[0], sums[1] = sums[0] + first, sums[1] + second


@pytest.mark.parametrize("num_episodes", [1, 2])
@pytest.mark.parametrize("alive_bonus", [False, True])
def test_it_equals_a_plain_loop_over_hopper(alive_bonus, num_episodes):
    """Fitness without or with the alive bonus, column 1 with it, the normaliser frozen meanwhile,
    seeds, episodes and merging: all bit for bit."""
    network = mlp(11, [6], 3)
    problem = PolicyProblem(
        "Hopper-v5",
        network,
        seed=5,
        num_episodes=num_episodes,
        episode_length=60,
        alive_bonus=alive_bonus,
    )
    loop = Sequential("Hopper-v5", network, num_episodes)
    total_steps = 0
    for generation in range(3):
        values = 0.5 * some_values(problem, n=6, seed=generation)
        evals = evaluated(problem, values).numpy()
        reward, bonus, steps = loop.evaluate(values, run_seed=5).T
        full = (reward + bonus) / num_episodes
        fitness = full if alive_bonus else reward / num_episodes
        np.testing.assert_array_equal(evals[:, 0], fitness.astype(np.float32))
        np.testing.assert_array_equal(evals[:, 1], full.astype(np.float32))
        np.testing.assert_array_equal(evals[:, 2], steps)
        np.testing.assert_array_equal(evals[:, 3], 0)
        assert (bonus > 0).all()
        assert problem.normalizer.count == loop.count
        np.testing.assert_array_equal(problem.normalizer.sum, loop.sum)
        np.testing.assert_array_equal(problem.normalizer.sum_of_squares, loop.squares)
        total_steps += int(steps.sum())
        assert problem.env_steps == total_steps == problem.status["env_steps"]


def test_without_normalisation_observations_come_as_they_are():
    network = mlp(11, [6], 3)
    problem = PolicyProblem(
        "Hopper-v5", network, seed=5, episode_length=60, observation_normalization=False
    )
    loop = Sequential("Hopper-v5", network)
    loop.moments = lambda: (0.0, 1.0)
    for generation in range(2):
        values = 0.5 * some_values(problem, n=4, seed=generation)
        rewards = loop.evaluate(values, run_seed=5)[:, 0]
        np.testing.assert_array_equal(
            evaluated(problem, values)[:, 0].numpy(), rewards.astype(np.float32)
        )


def test_common_seeds_give_both_signs_of_a_pair_the_same_episodes():
    same = some_values(drift_problem(), n=1).expand(8, -1)
    plus, minus = evaluated(drift_problem(common_seeds=True), same)[:, 0].reshape(4, 2).T
    assert torch.equal(plus, minus)
    assert len(plus.unique()) == 4
    assert len(evaluated(drift_problem(), same)[:, 0].unique()) == 8


def test_the_seed_decides_the_episodes():
    values = some_values(drift_problem())
    assert torch.equal(*(evaluated(drift_problem(seed=4), values) for _ in range(2)))
    assert not torch.equal(*(evaluated(drift_problem(seed=s), values) for s in (4, 5)))
    drawn = [PolicyProblem(Drift, mlp(3, [], 2)) for _ in range(2)]
    assert drawn[0].run_seed != drawn[1].run_seed


def test_evaluations_at_the_centre_are_counted():
    problem = PolicyProblem("Swimmer-v5", mlp(8, [], 2), seed=0, episode_length=20)
    search = ES(problem, popsize=6, num_center_evaluations=4, seed=0)
    search.run(2)
    assert problem.env_steps == 2 * (6 + 4) * 20 == search.status["env_steps"]
    assert len(search.population) == 6
    assert len(search.center_population) == 4
    steps = search.center_population.evals[:, 2]
    assert steps.tolist() == [20] * 4


def test_the_environments_own_limit_holds():
    problem = PolicyProblem("drift_envs:Drift-v0", mlp(3, [], 2), seed=0)
    assert problem.episode_length == 30
    weights = torch.zeros(4, problem.solution_length)
    assert (evaluated(problem, weights)[:, 2] == 30).all()
    assert PolicyProblem(Drift, mlp(3, [], 2)).episode_length == 1000
    assert PolicyProblem("CartPole-v1", mlp(4, [], 2), episode_length=7).episode_length == 7


def test_to_policy_acts_as_its_candidate_did():
    network = chromatic(3, 2)
    space = SearchSpace.of(network)
    problem = PolicyProblem(Drift, network, search_space=space, seed=0, episode_length=30)
    solution = problem.generate_values(1)
    evaluated(problem, solution)
    frozen = copy.deepcopy(problem.normalizer)
    expected = evaluated(problem, solution)[0, 1].item()  # generation 1, with `frozen`
    policy = problem.to_policy(solution[0], normalizer=frozen)
    env, total = Drift(), 0.0
    observation, _ = env.reset(seed=episode_seed(0, 1, 0, 0))
    for _ in range(30):
        observation, reward, terminated, *_ = env.step(policy.predict(observation)[0])
        total += reward
        if terminated:
            break
    assert total == pytest.approx(expected, rel=1e-6)


def test_generated_solutions_have_the_networks_scale_and_valid_decisions():
    network = chromatic()
    space = SearchSpace.of(network)
    problem = PolicyProblem("Swimmer-v5", network, search_space=space)
    values = problem.generate_values(500)
    space.check(values[:, problem.num_parameters :].to(torch.int64))
    palette = next(network.parameters())
    ratio = values[:, : palette.numel()].std() / palette.detach().std(correction=0)
    assert abs(ratio.item() - 1) < 4 / np.sqrt(2 * 500 * palette.numel())  # 4 standard errors


# EvoTorch's CMAES copies tensors by torch.tensor and hands them to NumPy in an old way.
@pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning")
@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda p: PGPE(
            p, popsize=8, center_learning_rate=0.1, stdev_learning_rate=0.1, stdev_init=0.1
        ),
        lambda p: CMAES(p, popsize=8, stdev_init=0.1),
        lambda p: SNES(p, popsize=8, stdev_init=0.1),
    ],
    ids=["PGPE", "CMAES", "SNES"],
)
def test_evotorchs_own_searches_run_unchanged(make):
    problem = PolicyProblem(
        "Swimmer-v5", mlp(8, [4], 2, layer=ToeplitzLinear), seed=0, episode_length=20
    )
    search = make(problem)
    search.run(3)
    assert search.status["env_steps"] == 3 * 8 * 20
    assert search.status["num_failed"] == 0
    assert search.status["best"].evals.isfinite().all()
    assert problem.to_policy(search.status["best"].values).predict(np.zeros(8))[0].shape == (2,)


def test_a_discrete_environment_is_learned():
    problem = PolicyProblem("CartPole-v1", mlp(4, [], 2, output_bias=False), seed=0)
    search = ES(
        problem,
        popsize=20,
        center_learning_rate=0.2,
        stdev_init=0.5,
        num_center_evaluations=5,
        seed=0,
    )
    search.step()
    first = search.status["center_eval"]
    search.run(11)
    assert first < 150
    assert search.status["center_eval"] > 350  # 500 is the most that can be had


@pytest.mark.parametrize(
    ("env", "num_episodes"),
    [
        (partial(Troubled, trouble="raise", share=0.25), 1),
        (partial(Troubled, trouble="raise", share=0.125), 2),
        (partial(Troubled, trouble="reward", share=0.25), 1),
        (partial(Troubled, trouble="reward", share=0.125), 2),
        (partial(Troubled, trouble="exit", share=0.25), 1),
        (partial(Troubled, trouble="huge reward", share=0.25), 1),
        (partial(Troubled, trouble="observation", share=0.25), 1),
        (partial(Troubled, trouble="observation", share=0.125), 2),
        (UnableToStart, 1),
    ],
)
def test_a_failed_candidate_gets_the_worst_fitness_of_the_rest(env, num_episodes):
    """Its observations stay out of the normaliser; healthy candidates notice nothing."""
    values = some_values(drift_problem(), n=40)
    healthy = evaluated(drift_problem(num_episodes=num_episodes), values)
    problem = drift_problem(env, num_episodes=num_episodes)
    evals = evaluated(problem, values)
    failed = evals[:, 3] == 1
    assert 0 < problem.num_failed == int(failed.sum()) < 16
    assert problem.status["num_failed"] == problem.num_failed
    worst = evals[~failed].min(dim=0).values
    assert (evals[failed][:, :2] == worst[:2]).all()
    assert evals[:, :3].isfinite().all()
    if env is not UnableToStart:  # whose seeds draw one number more
        assert torch.equal(evals[~failed], healthy[~failed])
    assert problem.normalizer.count == int(evals[~failed][:, 2].sum())
    assert np.isfinite(problem.normalizer.sum_of_squares).all()
    assert problem.env_steps == int(evals[:, 2].sum())


def test_more_than_forty_percent_failures_stop_the_search_and_name_the_cause():
    problem = drift_problem(partial(Troubled, share=0.8))
    with pytest.raises(EvaluationError, match=r"of 40 candidates.*40%.*the motor is on fire"):
        evaluated(problem, some_values(problem, n=40))


def test_no_candidate_left_is_the_same_clear_error():
    problem = drift_problem(partial(Troubled, share=1.0, trouble="reward"))
    with pytest.raises(EvaluationError, match=r"1 of 1 candidates.*reward is not finite"):
        evaluated(problem, some_values(problem, n=1))


@pytest.mark.xdist_group("ray")
def test_failures_on_actors_are_the_same_failures(ray_session):
    values = some_values(drift_problem(), n=40)
    alone, spread = drift_problem(Troubled), drift_problem(Troubled, num_actors=2)
    assert torch.equal(evaluated(spread, values), evaluated(alone, values))
    assert_same_tree(spread.state_dict(), alone.state_dict())
    hopeless = drift_problem(partial(Troubled, share=0.9), num_actors=2)
    with pytest.raises(EvaluationError, match="the motor is on fire"):
        evaluated(hopeless, values)


@pytest.mark.parametrize(
    ("env", "network", "settings", "message"),
    [
        ("Swimmer-v5", mlp(9, [], 2), {}, "needs a network from 8 observations to 2 outputs"),
        ("Swimmer-v5", mlp(8, [], 3), {}, "got one from 8 to 3"),
        ("Swimmer-v5", nn.Sequential(nn.Flatten(), nn.Linear(8, 2)), {}, "torch.nn.*Flatten"),
        ("Swimmer-v5", nn.Sequential(nn.Tanh()), {}, "no linear layer"),
        ("Swimmer-v9", mlp(8, [], 2), {}, "Swimmer"),
        ("Nowhere-v0", mlp(8, [], 2), {}, "no environment is called 'Nowhere-v0'"),
        (Picture, mlp(192, [], 2), {}, "image"),
        (lambda: 7, mlp(8, [], 2), {}, "must return a gymnasium.Env"),
        (Drift, mlp(3, [], 2), {"num_episodes": 0}, "num_episodes must be at least 1, got 0"),
        (Drift, mlp(3, [], 2), {"episode_length": 0}, "episode_length must be at least 1, got 0"),
        (Drift, mlp(3, [], 2), {"capacity": 0}, "capacity must be between 1 and 256, got 0"),
        (Drift, mlp(3, [], 2), {"capacity": 257}, "capacity must be between 1 and 256, got 257"),
        (Drift, mlp(3, [], 2), {"simulator": "bullet"}, "bullet"),
        (Drift, mlp(3, [], 2), {"num_actors": -1}, "num_actors must be .* at least 0, .*got -1"),
        (Drift, mlp(3, [], 2), {"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_bad_input(env, network, settings, message):
    with pytest.raises(StructuredLayersError, match=message):
        PolicyProblem(env, network, **settings)


def test_decisions_outside_of_the_space_are_refused():
    network = chromatic(3, 2)
    problem = PolicyProblem(Drift, network, search_space=SearchSpace.of(network), seed=0)
    values = problem.generate_values(4)
    values[2, -1] = 5  # colours are 0 to 4
    with pytest.raises(StructuredLayersError, match="5"):
        evaluated(problem, values)
