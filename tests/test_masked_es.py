"""Weights and the mask over them, learned together by an evolution strategy."""

import pytest
import torch
from evotorch import Problem, SolutionBatch
from torch import Tensor, nn

from structured_layers import SoftMaskedLinear, StructuredLayersError, mlp
from structured_layers.algorithms import ES, MaskedES, NamedSchedule
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.layers import MaskedLinear

T = 12


class Toy(Problem):
    """The effective weights should be 1 in the first three places; the others do not matter."""

    def __init__(self, temperature: float = 0.1) -> None:
        torch.manual_seed(0)
        layer = SoftMaskedLinear(4, 3, bias=False, temperature=temperature)
        super().__init__("max", solution_length=2 * T, initial_bounds=(-1, 1))
        self.network = nn.Sequential(layer)
        self.temperature = temperature

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        values, logits = batch.values.as_subclass(Tensor).split(T, dim=1)
        weights = values * torch.sigmoid(logits / self.temperature)
        batch.set_evals(-((weights[:, :3] - 1) ** 2).sum(-1))


def make_search(**options: object) -> MaskedES:
    given = {"popsize": 20, "num_center_evaluations": 2, "seed": 0, **options}
    return MaskedES(Toy(), **given)


def open_gates(solutions: Tensor) -> Tensor:
    return (solutions.as_subclass(Tensor)[:, T:] > 0).sum(dim=1)


def test_a_search_starts_half_open_and_reports_it() -> None:
    search = make_search(reward_share=1.0)
    assert search.status["usage"] == 0.5
    search.step()
    usage = float(open_gates(search.center_solution()[None])[0]) / T
    assert search.status["usage"] == usage


def test_all_of_beta_on_the_return_is_the_strategy_alone() -> None:
    # ranks are the same whether returns are standardised or not
    masked = make_search(reward_share=1.0, ranking_method="centered")
    plain = ES(
        Toy(), popsize=20, num_center_evaluations=2, seed=0, ranking_method="centered",
        center_init=masked.status["center"],
    )  # fmt: skip
    for _ in range(3):
        masked.step()
        plain.step()
        assert torch.equal(masked.population.values, plain.population.values)
        assert torch.equal(masked.status["center"], plain.status["center"])


@pytest.mark.parametrize("estimator", ["antithetic", "forward"])
def test_the_step_follows_both_normalised_terms(estimator: str) -> None:
    beta, sigma, rate = 0.7, 0.2, 0.5
    search = make_search(
        reward_share=beta, stdev_init=sigma, center_learning_rate=rate, optimizer="sgd",
        ranking_method="raw", estimator=estimator,
    )  # fmt: skip
    before = search.status["center"].clone()
    search.step()
    values = search.population.values.as_subclass(Tensor)
    returns = search.population.evals.as_subclass(Tensor)[:, 0]
    unused = 1 - open_gates(values) / T

    def reward(value: Tensor, gates: Tensor) -> Tensor:
        z_return = (value - returns.mean()) / returns.std(correction=0)
        z_unused = (gates - unused.mean()) / unused.std(correction=0)
        return beta * z_return + (1 - beta) * z_unused

    rewards, noise = reward(returns, unused), (values - before) / sigma
    if estimator == "antithetic":
        gradient = (rewards[0::2] - rewards[1::2]) @ noise[0::2] / (2 * 10 * sigma)
    else:
        center = search.center_population.evals.as_subclass(Tensor)[0, 0]
        pivot = reward(center, 1 - open_gates(before[None])[0] / T)
        gradient = (rewards - pivot) @ noise / (20 * sigma)
    torch.testing.assert_close(search.status["center"] - before, rate * gradient)


def test_less_weight_on_the_return_leaves_fewer_edges() -> None:
    usages = []
    for share in (1.0, 0.3):
        search = make_search(reward_share=share, popsize=40, center_learning_rate=0.05)
        search.run(100)
        usages.append(search.status["usage"])
    assert usages[1] < 0.5 < usages[0]


def test_beta_is_annealed_by_its_schedule() -> None:
    search = make_search(reward_share_schedule=NamedSchedule("linear", 4, final=0.5))
    shares = []
    for _ in range(4):
        shares.append(search.reward_share)
        search.step()
    assert shares == pytest.approx([0.9, 0.7875, 0.675, 0.5625])


@pytest.mark.parametrize("schedule", [None, NamedSchedule("linear", 3, final=0.5)])
def test_drawn_masks_open_a_share_that_is_fixed_or_falls(schedule: NamedSchedule | None) -> None:
    search = make_search(density=0.5, density_schedule=schedule)
    for generation in range(4):
        expected = round(0.5 * (1 if schedule is None else schedule(generation)) * T)
        assert search.num_open == expected
        center = search.center_solution()[None]
        search.step()
        assert (open_gates(search.population.values) == expected).all()
        assert torch.equal(search.center_population.values, center.expand(2, -1))
        gates = torch.sigmoid(search.population.values.as_subclass(Tensor)[:, T:] / 0.1)
        assert ((gates < 1e-20) | (gates == 1)).all()
    last = search.center_solution()
    largest = search.status["center"][T:].topk(search.num_open).indices
    assert torch.equal(last[T:].gt(0).nonzero()[:, 0], largest.sort().values)
    assert torch.equal(last[:T], search.status["center"][:T])


def test_draws_follow_the_softmax_of_the_logits() -> None:
    center = torch.zeros(2 * T)
    center[T:] = 0.1 * torch.tensor([3.0, 2.0, 1.0] + [0.0] * 9).log1p()
    search = make_search(
        density=1 / T, popsize=4000, center_init=center, stdev_init=1e-6, directions="gaussian"
    )
    search.step()
    counts = (search.population.values.as_subclass(Tensor)[:, T:] > 0).double().mean(dim=0)
    expected = torch.softmax(center[T:].double() / 0.1, dim=0)
    deviation = (expected * (1 - expected) / 4000).sqrt()
    assert ((counts - expected).abs() < 4 * deviation).all()


def test_drawn_masks_find_the_edges_that_matter() -> None:
    search = make_search(density=0.25, popsize=60, center_learning_rate=0.05, stdev_init=0.2)
    search.run(150)
    assert search.center_solution()[T:].gt(0).nonzero()[:, 0].tolist() == [0, 1, 2]
    assert search.status["center_eval"] > -0.5


VARIANTS = {
    "soft": {"reward_share_schedule": NamedSchedule("cosine", 6, final=0.3)},
    "fixed": {"density": 0.4},
    "growing": {"density": 0.5, "density_schedule": NamedSchedule("exponential", 6, final=0.2)},
    "cmaes": {"density": 0.4, "optimizer": "cmaes"},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_search_continues_from_its_checkpoint_bit_for_bit(name, tmp_path) -> None:
    search, resumed = make_search(**VARIANTS[name]), make_search(**VARIANTS[name], seed=1)
    search.run(3)
    resumed.run(2)
    write_checkpoint(tmp_path, search.state_dict(), number=3)
    resumed.load_state_dict(read_checkpoint(tmp_path))
    for _ in range(3):
        search.step()
        resumed.step()
        assert torch.equal(resumed.population.values, search.population.values)
        assert torch.equal(resumed.center_solution(), search.center_solution())


@pytest.mark.parametrize("density", [None, 0.3])
def test_a_policy_is_trained_and_hardens_to_the_edges_it_uses(density: float | None) -> None:
    network = mlp(8, [4, 4], 2, layer=SoftMaskedLinear)
    problem = PolicyProblem("Swimmer-v5", network, episode_length=5, seed=0)
    search = MaskedES(problem, popsize=4, density=density, num_center_evaluations=1, seed=0)
    search.run(2)
    policy = problem.to_policy(search.center_solution())
    layers = [layer for layer in policy.network if isinstance(layer, SoftMaskedLinear)]
    hard: list[MaskedLinear] = [layer.harden() for layer in layers]
    kept = sum(int(layer.mask.sum()) for layer in hard)
    assert kept / (8 * 4 + 16 + 8) == pytest.approx(search.status["usage"])
    assert density is None or kept == round(0.3 * 56)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"density": 0.0}, r"density must lie in \(0, 1\], got 0.0"),
        ({"density": 1.5}, "density must lie"),
        ({"reward_share": 0.0}, r"reward_share must lie in \(0, 1\]"),
        ({"density": 0.5, "reward_share": 0.9}, "drawn masks all use the same share"),
        ({"density_schedule": NamedSchedule("linear", 3)}, "goes with a density"),
        ({"reward_share_schedule": 0.5}, "reward_share_schedule must be a function"),
    ],
)
def test_bad_arguments(options: dict, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        make_search(**options)


def test_shares_that_a_schedule_drives_out_of_range_are_refused() -> None:
    search = make_search(density=0.5, density_schedule=lambda generation: 1.0 + 2 * generation)
    search.step()
    with pytest.raises(StructuredLayersError, match="density times its schedule must lie"):
        search.step()


def test_networks_without_gates_are_refused() -> None:
    problem = PolicyProblem("Swimmer-v5", mlp(8, [4], 2), episode_length=5, seed=0)
    for wrong in (problem, Problem("max", len, solution_length=3, initial_bounds=(-1, 1))):
        with pytest.raises(StructuredLayersError, match="layer=SoftMaskedLinear"):
            MaskedES(wrong, popsize=4)
