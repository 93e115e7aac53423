"""The pointer network samples what its probabilities say, and learns what is good."""

import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from structured_layers import StructuredLayersError
from structured_layers.algorithms import (
    Coloring,
    EdgeMask,
    EdgeSubset,
    LayerwiseEdgeSubset,
    PolicyGradient,
    ProductSpace,
    RandomSearch,
    RegularizedEvolution,
    SearchSpace,
    UnitActivationChoice,
)
from structured_layers.algorithms.controllers.moving_critic import MovingCritic
from structured_layers.algorithms.controllers.pointer_network import PointerNetwork
from structured_layers.algorithms.controllers.pointer_sampling import sample_structures

SPACES = {
    "coloring": Coloring(30, 5),
    "edges": EdgeSubset(40, 12),
    "all edges": EdgeSubset(5, 5),
    "layers": LayerwiseEdgeSubset([(10, 3), (8, 4)]),
    "activations": ProductSpace([EdgeSubset(20, 5), UnitActivationChoice(6)]),
    "masked coloring": ProductSpace([Coloring(20, 4), EdgeMask(20)]),
}
each_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def network_of(space: SearchSpace, spread: float = 0.5) -> PointerNetwork:
    """A network whose probabilities are far from uniform."""
    generator = torch.Generator().manual_seed(0)
    network = PointerNetwork(space, generator)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += spread * torch.randn(parameter.shape, generator=generator)
    return network


def draw(network: PointerNetwork, n: int, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    uniforms = torch.rand(len(network.offsets), n, generator=torch.Generator().manual_seed(1))
    return sample_structures(network, uniforms, temperature=temperature)


@each_space
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_teacher_forcing_gives_the_probabilities_of_sampling(
    space: SearchSpace, temperature: float
) -> None:
    network = network_of(space)
    decisions, sampled = draw(network, 50, temperature)
    space.check(decisions)
    with torch.no_grad():
        forced, entropies = network(decisions, temperature)
    assert (forced - sampled).abs().max() < 1e-4
    assert (forced.sum(dim=1) - sampled.sum(dim=1)).abs().max() < 1e-4
    assert (entropies >= 0).all()
    assert (entropies <= space.num_choices.log() + 1e-5).all()


def every_structure(space: SearchSpace) -> Tensor:
    if space.distinct_groups:
        sets = itertools.combinations(range(space.num_edges), space.num_decisions)
        return torch.tensor(list(sets))
    values = [range(int(n)) for n in space.num_choices]
    return torch.tensor(list(itertools.product(*values)))


@pytest.mark.parametrize("space", [EdgeSubset(6, 3), Coloring(3, 3)], ids=["edges", "coloring"])
def test_probabilities_sum_to_one_and_are_those_of_the_samples(space: SearchSpace) -> None:
    network = network_of(space, 0.8)
    structures = every_structure(space)
    with torch.no_grad():
        probabilities = network(structures)[0].sum(dim=1).exp()
    assert abs(float(probabilities.sum()) - 1) < 1e-5
    n = 20_000
    decisions, _ = draw(network, n)
    counts = (decisions[:, None] == structures).all(dim=2).sum(dim=0)
    deviations = (counts - n * probabilities) / (n * probabilities * (1 - probabilities)).sqrt()
    assert deviations.abs().max() < 4.5
    assert probabilities.max() > 3 * probabilities.median()  # which is not what uniform would give


@each_space
def test_without_preferences_structures_are_uniform(space: SearchSpace) -> None:
    network = PointerNetwork(space, torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.query.weight.zero_()
    _, log_probs = draw(network, 20)
    uniform = -space.log10_size * math.log(10)
    if space is SPACES["masked coloring"]:  # several decisions mean the same structure
        uniform = -20 * math.log(4 * 2)
    expected = torch.full((20,), uniform)
    torch.testing.assert_close(log_probs.sum(dim=1), expected, rtol=1e-5, atol=1e-4)


@each_space
def test_the_most_probable_structure(space: SearchSpace) -> None:
    network = network_of(space)
    decisions, _ = sample_structures(network, None, n=2, temperature=1e-4)
    space.check(decisions)
    assert torch.equal(decisions[0], decisions[1])
    cold, _ = draw(network, 5, temperature=1e-4)
    assert torch.equal(cold, decisions[:1].expand(5, -1))


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def test_threads_change_nothing() -> None:
    results = []
    for number in (1, 3):
        with threads(number):
            controller = PolicyGradient(Coloring(50, 7), seed=0)
            for _ in range(3):
                decisions = controller.propose(70)
                controller.observe(decisions, (decisions == 0).sum(dim=1).double())
            results.append(controller.propose(70))
    assert torch.equal(*results)


@pytest.mark.parametrize("algorithm", ["reinforce", "ppo"])
def test_good_structures_become_more_probable(algorithm: str) -> None:
    space = Coloring(8, 3)
    controller = PolicyGradient(space, algorithm=algorithm, learning_rate=0.01, seed=0)
    decisions = controller.propose(64)
    objectives = (decisions == 1).sum(dim=1).double()
    with torch.no_grad():
        before = controller.network(decisions)[0].sum(dim=1)
    controller.observe(decisions, objectives)
    with torch.no_grad():
        after = controller.network(decisions)[0].sum(dim=1)
    assert torch.corrcoef(torch.stack([after - before, objectives.float()]))[0, 1] > 0.8


def test_the_first_step_of_ppo_is_that_of_reinforce() -> None:
    """The ratio's gradient is that of the log-probability where the two policies are the same."""
    parameters = []
    for algorithm in ("reinforce", "ppo"):
        controller = PolicyGradient(
            Coloring(8, 3), algorithm=algorithm, num_epochs=1, entropy_weight=0.1, seed=0
        )
        decisions = controller.propose(64)
        controller.observe(decisions, (decisions == 1).sum(dim=1).double())
        parameters.append(torch.nn.utils.parameters_to_vector(controller.network.parameters()))
    start = torch.nn.utils.parameters_to_vector(
        PolicyGradient(Coloring(8, 3), seed=0).network.parameters()
    )
    torch.testing.assert_close(*parameters, rtol=0, atol=1e-5)
    assert (parameters[0] - start).abs().max() > 5e-4


@pytest.mark.parametrize(
    ("ratio", "advantage", "gradient"),
    [(1.1, 1.0, 1.1), (1.3, 1.0, 0.0), (0.7, 1.0, 0.7), (0.7, -1.0, 0.0), (1.3, -1.0, -1.3)],
)
def test_ppo_does_not_follow_ratios_that_are_clipped(
    ratio: float, advantage: float, gradient: float
) -> None:
    log_probs = torch.tensor([[math.log(ratio)]], requires_grad=True)
    controller = PolicyGradient(Coloring(1, 2), seed=0)
    gain = controller._gain(log_probs, torch.zeros(1, 1), torch.tensor([[advantage]]))
    (found,) = torch.autograd.grad(gain.sum(), log_probs)
    assert float(found) == pytest.approx(gradient)


def test_entropy_keeps_probabilities_apart_from_certainty() -> None:
    entropies = {}
    for weight in (0.0, 50.0):
        controller = PolicyGradient(
            Coloring(6, 2), learning_rate=0.01, entropy_weight=weight, seed=0
        )
        for _ in range(40):
            decisions = controller.propose(20)
            controller.observe(decisions, decisions.sum(dim=1).double())
        with torch.no_grad():
            entropies[weight] = float(controller.network(decisions)[1].mean())
    assert entropies[0.0] < 0.3 < 0.6 < entropies[50.0]


def test_large_observations_cost_a_bounded_number_of_steps() -> None:
    controller = PolicyGradient(Coloring(3, 2), update_batch_size=10, max_steps=4, seed=0)
    controller.observe(controller.propose(100), torch.randn(100))
    steps = {int(state["step"]) for state in controller.optimizer.state.values()}
    assert steps == {4}
    assert controller.memory.members.shape[0] == 8  # of 2^3, none left out


def test_the_critic_averages_one_objective_after_the_other() -> None:
    critic = MovingCritic(decay=0.9)
    first, second = torch.tensor([1.0, 3.0, 5.0]).double(), torch.tensor([8.0, 2.0]).double()
    assert critic.advantages(first).tolist() == pytest.approx([-(1.5**0.5), 0, 1.5**0.5])
    mean, variance = 3.0, 8 / 3
    for value in (8.0, 2.0):
        mean = 0.9 * mean + 0.1 * value
    for value in (8.0, 2.0):
        variance = 0.9 * variance + 0.1 * (value - mean) ** 2
    expected = [(value - mean) / variance**0.5 for value in (8.0, 2.0)]
    assert critic.advantages(second).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("value", [1 / 3, -200.0, 1000.7])
def test_rounding_is_no_advantage(value: float) -> None:
    critic = MovingCritic()
    noise = torch.randn(100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for objectives in [noise] + [torch.full((100,), value).double()] * 300:
        last = critic.advantages(objectives)
    assert not last.any()  # the spread of the noise is forgotten, what is left is rounding
    small = value * (1 + 1e-6 * noise)
    assert all(critic.advantages(small).abs().max() > 1 for _ in range(3))  # this is none


def test_the_scale_of_objectives_does_not_matter() -> None:
    results = []
    for scale, shift in ((1.0, 0.0), (1000.0, -5000.0)):
        controller = PolicyGradient(Coloring(8, 3), replay_share=0, seed=0)
        for _ in range(3):
            decisions = controller.propose(64)
            controller.observe(decisions, scale * (decisions == 1).sum(dim=1).double() + shift)
        results.append(controller.network(decisions)[0])
    torch.testing.assert_close(*results, rtol=0, atol=1e-4)


def test_equal_objectives_teach_nothing_and_break_nothing() -> None:
    controller = PolicyGradient(Coloring(8, 3), entropy_weight=0.0, seed=0)
    before = [p.clone() for p in controller.network.parameters()]
    controller.observe(controller.propose(64), torch.full((64,), 7.0))
    for old, new in zip(before, controller.network.parameters(), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"algorithm": "a2c"}, "algorithm must be one of reinforce, ppo, got 'a2c'"),
        ({"learning_rate": 0.0}, "learning_rate must be a positive, finite number, got 0.0"),
        ({"temperature": -1.0}, "temperature must be a positive, finite number, got -1.0"),
        ({"entropy_weight": -0.1}, "entropy_weight must be at least 0, got -0.1"),
        ({"critic_decay": 1.0}, r"critic_decay must be in \[0, 1\), got 1.0"),
        ({"update_batch_size": 0}, "update_batch_size must be an integer of at least 1, got 0"),
        ({"num_epochs": 0}, "num_epochs must be an integer of at least 1, got 0"),
        ({"num_epochs": 3}, "max_steps must be an integer of at least 3, that of one batch, got 2"),
        ({"replay_size": 0}, "replay_size must be an integer of at least 1, got 0"),
        ({"replay_size": 2.5}, "replay_size must be an integer of at least 1, got 2.5"),
        ({"replay_share": 1.0}, r"replay_share must be in \[0, 1\), got 1.0"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        PolicyGradient(Coloring(4, 2), **arguments)


def hidden(space: SearchSpace, seed: int, noise: float) -> tuple[Callable, Callable]:
    """The share of decisions that agree with a hidden structure, and the same with noise."""
    generator = torch.Generator().manual_seed(1000 + seed)
    target = space.decode(space.sample(1, generator))[0]

    def truth(decisions: Tensor) -> Tensor:
        return (space.decode(decisions) == target).double().mean(dim=1)

    def noisy(decisions: Tensor) -> Tensor:
        disturbance = torch.randn(len(decisions), generator=generator, dtype=torch.float64)
        return truth(decisions) + noise * disturbance

    return truth, noisy


@pytest.mark.parametrize("space", [Coloring(20, 4), EdgeSubset(40, 8)], ids=["coloring", "edges"])
def test_learning_beats_chance_by_three_standard_errors(space: SearchSpace) -> None:
    found: dict[type, list[float]] = {}
    for make in (RandomSearch, RegularizedEvolution, PolicyGradient):
        for seed in range(4):
            truth, noisy = hidden(space, seed, noise=0.05)
            controller = make(space, seed=seed)
            for _ in range(30):
                decisions = controller.propose(50)
                controller.observe(decisions, noisy(decisions))
            found.setdefault(make, []).append(float(truth(controller.propose(50)).mean()))
    chance = torch.tensor(found.pop(RandomSearch))
    for values in found.values():
        better = torch.tensor(values)
        error = ((better.var() + chance.var()) / 4).sqrt()
        assert better.mean() - chance.mean() > 3 * error


@pytest.mark.parametrize("make", [RegularizedEvolution, PolicyGradient])
def test_a_hidden_mask_of_sixteen_edges_is_found(make: Callable) -> None:
    space = EdgeMask(16)
    for seed in range(2):
        truth, noisy = hidden(space, seed, noise=0.05)
        controller, best = make(space, seed=seed), 0.0
        for _ in range(4000 // 50):
            decisions = controller.propose(50)
            controller.observe(decisions, noisy(decisions))
            best = max(best, float(truth(decisions).max()))
        assert best == 1
