"""ARS and structured evolution: the published algorithms and sizes."""

import pytest
import torch
from evotorch import Problem

from structured_layers import StructuredLayersError, mlp
from structured_layers.algorithms import ARS, StructuredEvolution, structured_evolution_network
from structured_layers.algorithms.augmented_random_search import ARSSettings, ars_settings
from structured_layers.integrations.evotorch import PolicyProblem

# Environment: observations and actions of the papers' versions, then the parameters of Table 1:
# Gaussian orthogonal, Hadamard, unstructured.
SIZES = {
    "Swimmer": (8, 2, 253, 253, 1408),
    "Ant": (111, 8, 362, 254, 4896),
    "HalfCheetah": (17, 6, 266, 254, 2174),
    "Hopper": (11, 3, 257, 254, 1536),
    "Humanoid": (376, 17, 636, 510, 13664),
    "Walker2d": (17, 6, 266, 254, 1824),
    "Pusher": (23, 7, 273, 255, 2048),
    "Reacher": (11, 2, 256, 256, 1189),
    "MountainCarContinuous": (2, 1, 246, 246, 1184),
    "Pendulum": (3, 1, 247, 247, 1216),
    "Minitaur": (28, 8, 279, 256, 2240),
}
# Sizes that no dense 32+32 net has, and one that no 3(h1 + h2) + 33 gives.
OTHER = {("HalfCheetah", "UNUN"): 1824, ("Reacher", "UNUN"): 1504, ("Minitaur", "hadamard"): 255}


@pytest.mark.parametrize("env", SIZES)
def test_networks_have_the_published_sizes(env: str) -> None:
    observations, outputs, orthogonal, hadamard, dense = SIZES[env]
    for variant, directions, published in (
        ("STST", "orthogonal", orthogonal),
        ("STUN", "orthogonal", orthogonal),
        ("STST", "hadamard", hadamard),
        ("UNUN", "orthogonal", dense),
    ):
        network = structured_evolution_network(
            variant, observations, outputs, directions=directions
        )
        key = (env, "hadamard" if directions == "hadamard" else variant)
        assert network.num_parameters == OTHER.get(key, published)
        built = network.build(observations, outputs)
        assert sum(p.numel() for p in built.parameters()) == network.num_parameters


def quartic() -> Problem:
    return Problem(
        "max",
        lambda x: -((x - 1) ** 4).sum(-1),
        solution_length=3,
        initial_bounds=(-1, 1),
        vectorized=True,
    )


@pytest.mark.parametrize(
    ("variant", "num_top"), [("V1", None), ("V1-t", 2), ("V2-t", 1), ("V2", None)]
)
def test_an_update_is_the_published_one(variant: str, num_top: int | None) -> None:
    """θ + α/(b σ_R) Σ (r⁺ − r⁻)δ over the b directions of the highest max(r⁺, r⁻)."""
    search = ARS(
        quartic(), variant, num_directions=5, num_top=num_top, step_size=0.2, noise=0.05, seed=0
    )
    for _ in range(3):
        theta = search.status["center"].clone()
        search.step()
        deltas = (search.population.values[0::2] - theta) / 0.05
        rewards = search.population.evals[:, 0].view(5, 2)  # (r⁺, r⁻)
        order = rewards.max(dim=1).values.argsort(descending=True)[: num_top or 5]
        deviation = rewards[order].std(correction=0)
        total = ((rewards[order, 0] - rewards[order, 1])[:, None] * deltas[order]).sum(dim=0)
        expected = theta + 0.2 / (len(order) * deviation) * total
        torch.testing.assert_close(search.status["center"], expected, rtol=1e-4, atol=1e-5)


def test_ars_starts_at_zero() -> None:
    assert torch.equal(ARS(quartic(), "V1").status["center"], torch.zeros(3))


def test_ars_takes_the_settings_of_its_environment() -> None:
    search = ARS(quartic(), seed=0)  # V2-t: of 8 pairs the best 4
    search.step()
    assert len(search.population) == 16
    same = ARS(quartic(), num_directions=8, num_top=4, step_size=0.02, noise=0.03, seed=0)
    same.step()
    assert torch.equal(search.status["center"], same.status["center"])
    assert ars_settings("V1", "Swimmer-v5") == ARSSettings(4, 4, 0.08, 0.1)
    assert ars_settings("V1-t", "Swimmer-v5") == ARSSettings(1, 1, 0.02, 0.01)
    assert ars_settings("V2", "package/Ant-v4") == ARSSettings(60, 20, 0.015, 0.025)
    assert ars_settings("V1", quartic) == ARSSettings(8, 4, 0.02, 0.03)  # env may be a function
    swimmer = make_problem(observation_normalization=False)
    assert ARS(swimmer, "V1").status["stdev"] == 0.1
    assert ARS(swimmer, "V1", noise=0.05).status["stdev"] == 0.05
    few = ARS(quartic(), num_directions=3, seed=0)  # its top 4 pairs are all of them
    every = ARS(quartic(), "V2", num_directions=3, seed=0)
    few.step()
    every.step()
    assert torch.equal(few.status["center"], every.status["center"])


def test_a_step_of_structured_evolution_is_the_published_one() -> None:
    """Adam with step size 0.01 on the antithetic estimate of fitnesses that nobody shaped."""
    search = StructuredEvolution(quartic(), popsize=6, center_init=torch.zeros(3), seed=0)
    weights = torch.zeros(3, requires_grad=True)
    adam = torch.optim.Adam([weights], lr=0.01)
    for _ in range(4):
        center = search.status["center"].clone()
        search.step()
        noise = (search.population.values[0::2] - center) / 0.02
        fitness = search.population.evals[:, 0]
        differences = fitness[0::2] - fitness[1::2]
        weights.grad = -(differences[:, None] * noise).sum(dim=0) / (2 * 3 * 0.02)
        adam.step()
        torch.testing.assert_close(
            search.status["center"].as_subclass(torch.Tensor),
            weights.detach(),
            rtol=1e-3,
            atol=1e-6,
        )


def make_problem(**options: object) -> PolicyProblem:
    return PolicyProblem("Swimmer-v5", mlp(8, [], 2), episode_length=5, seed=0, **options)


@pytest.mark.parametrize("variant", ["V1", "V1-t", "V2", "V2-t"])
def test_ars_runs_on_a_problem_that_fits_its_variant(variant: str) -> None:
    problem = make_problem(observation_normalization=variant.startswith("V2"))
    num_top = 1 if variant.endswith("-t") else None
    search = ARS(problem, variant, num_directions=2, num_top=num_top, seed=0)
    search.run(2)
    assert len(search.population) == 4
    assert search.status["update_norm"] > 0


@pytest.mark.parametrize("variant", ["STST", "STUN", "UNUN"])
def test_structured_evolution_runs(variant: str) -> None:
    network = structured_evolution_network(variant, 8, 2).build(8, 2)
    problem = PolicyProblem(
        "Swimmer-v5",
        network,
        episode_length=5,
        seed=0,
        observation_normalization=False,
        alive_bonus=True,
    )
    search = StructuredEvolution(problem, variant, popsize=6, seed=0)
    search.step()
    assert search.status["stdev"] == 0.02
    noise = (search.population.values[0::2] - search.population.values[1::2]) / 0.04
    cosines = noise @ noise.T / noise.norm(dim=1) / noise.norm(dim=1)[:, None]
    orthogonal = (cosines - torch.eye(3)).abs().max() < 1e-4
    assert bool(orthogonal) == (variant == "STST")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ARS(quartic(), "V3"), "variant must be one of V1, V1-t, V2, V2-t, got 'V3'"),
        (lambda: ARS(quartic(), "V1", num_top=2), "num_top goes with V1-t and V2-t"),
        (lambda: ARS(quartic(), num_top=9), "num_top must be an integer from 1 to 8.*got 9"),
        (lambda: ARS(quartic(), num_directions=2.5), "num_directions must be an integer.*got 2.5"),
        (lambda: ARS(quartic(), noise=-1), "noise must be a positive, finite number, got -1"),
        (lambda: ARS(quartic(), step_size=0), "step_size must be a positive.*got 0"),
        (lambda: ARS(Problem("min", abs, dtype=object)), "floating-point numbers, got dtype"),
        (lambda: ARS(quartic), "problem must be an EvoTorch Problem"),
        (lambda: ARS(make_problem(), "V1"), "V1 needs .*observation_normalization=False"),
        (
            lambda: ARS(make_problem(observation_normalization=False), "V2"),
            "V2 needs .*observation_normalization=True",
        ),
        (lambda: ARS(make_problem(alive_bonus=True), "V2"), "alive_bonus=False"),
        (lambda: StructuredEvolution(quartic(), "STXX"), "one of STST, STUN, UNUN, got 'STXX'"),
        (
            lambda: StructuredEvolution(quartic(), directions="gaussian"),
            "directions must be one of orthogonal, hadamard, got 'gaussian'",
        ),
        (lambda: StructuredEvolution(make_problem(alive_bonus=True)), "normalization=False"),
        (
            lambda: StructuredEvolution(make_problem(observation_normalization=False)),
            "alive_bonus=True",
        ),
    ],
)
def test_problems_and_arguments_that_do_not_fit(make, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        make()
