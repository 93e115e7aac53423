"""The strategy over latent weights: what its candidates are, what it finds, how it goes on."""

import pytest
import torch
from evotorch import Problem
from torch import nn

from structured_layers import ChromaticLinear, Palette, StructuredLayersError, mlp
from structured_layers.algorithms import Coloring, EdgeSubset, LatentColoring
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.layers.nearest import nearest_index


def network() -> nn.Module:
    torch.manual_seed(0)
    palette = Palette(3)
    return mlp(
        4,
        [3],
        2,
        layer=lambda *sizes, **keywords: ChromaticLinear(*sizes, palette=palette, **keywords),
    )


class Target(Problem):
    """Pays for colours of a hidden colouring and for parameters near ones."""

    def __init__(self) -> None:
        self.network, self.search_space = network(), Coloring(18, 3)
        self.num_parameters = sum(p.numel() for p in self.network.parameters())
        self.hidden = self.search_space.sample(1, torch.Generator().manual_seed(7))[0]
        # all moved alike, so that the palette keeps its distances
        self.goal = nn.utils.parameters_to_vector(self.network.parameters()).detach() + 0.5
        length = self.num_parameters + 18
        super().__init__("max", solution_length=length, initial_bounds=(-1, 1), dtype=torch.float32)

    def _evaluate_batch(self, solutions) -> None:
        parameters, colors = self.split(solutions.values)
        agreeing = (colors == self.hidden).sum(dim=1)
        solutions.set_evals(agreeing - ((parameters - self.goal) ** 2).sum(dim=1))

    def split(self, values):
        return values[:, : self.num_parameters], values[:, self.num_parameters :].long()


def search(problem=None, **options) -> LatentColoring:
    settings = {"popsize": 40, "num_center_evaluations": 2, "seed": 0, "stdev_init": 0.1}
    return LatentColoring(problem or Target(), **{**settings, **options})


def test_it_starts_at_the_network_and_colours_candidates_by_their_latent_weights() -> None:
    problem = Target()
    strategy = search(problem)
    layers = [m for m in problem.network.modules() if isinstance(m, ChromaticLinear)]
    colors = torch.cat([layer.colors.flatten() for layer in layers])
    assert torch.equal(strategy.center_decisions(), colors)
    center = strategy.status["center"].clone()
    d, palette = problem.num_parameters, layers[0].values.detach()
    strategy.step()
    parameters, found = problem.split(strategy.population.values.as_subclass(torch.Tensor))
    noise = (parameters - center[:d]) / 0.1
    assert torch.allclose(noise[0::2], -noise[1::2], atol=1e-5)
    assert 0.8 < float(noise.std()) < 1.2
    # the mean of a pair's latent weights is the centre, so one of the two signs keeps its colour
    kept = (found[0::2] == colors) | (found[1::2] == colors)
    assert kept.float().mean() > 0.9
    assert (found != colors).any()
    assert set(found.unique().tolist()) <= set(range(len(palette)))
    _, at_center = problem.split(strategy.center_population.values.as_subclass(torch.Tensor))
    assert (at_center == colors).all()


def test_colours_are_the_nearest_of_the_palette() -> None:
    strategy = search()
    latent, d = torch.linspace(-2, 2, 18), strategy.problem.num_parameters
    strategy.start_at(torch.cat([strategy.status["center"][:d], latent]))
    palette = strategy.problem.network[0].values.detach()
    assert torch.equal(strategy.center_decisions(), nearest_index(latent, palette))
    assert torch.equal(strategy.center_solution()[d:].long(), strategy.center_decisions())


def test_it_finds_the_hidden_colouring_and_the_parameters() -> None:
    strategy = search(center_learning_rate=0.05)
    problem = strategy.problem
    before = int((strategy.center_decisions() == problem.hidden).sum())
    strategy.run(400)
    after = int((strategy.center_decisions() == problem.hidden).sum())
    assert before < 9
    assert after >= 13  # by chance 6 ± 2
    parameters = strategy.center_solution()[: problem.num_parameters]
    assert float((parameters - problem.goal).abs().max()) < 0.25  # from 0.5


@pytest.mark.parametrize("optimizer", ["adam", "cmaes"])
def test_it_goes_on_from_a_checkpoint(optimizer, tmp_path) -> None:
    strategy, resumed = search(optimizer=optimizer), search(optimizer=optimizer, seed=5)
    strategy.run(3)
    write_checkpoint(tmp_path, strategy.state_dict(), number=3)
    resumed.load_state_dict(read_checkpoint(tmp_path))
    for one in (strategy, resumed):
        one.run(3)
    assert torch.equal(strategy.center_solution(), resumed.center_solution())
    assert torch.equal(strategy.status["center"], resumed.status["center"])


def test_a_state_of_another_search_is_refused() -> None:
    state = {**search().state_dict(), "search": {"controller": "RandomSearch"}}
    with pytest.raises(StructuredLayersError, match="make the search with the settings"):
        search().load_state_dict(state)


@pytest.mark.parametrize("space", [None, EdgeSubset(18, 4)])
def test_only_colourings_have_latent_weights(space) -> None:
    problem = Target()
    problem.search_space = space
    with pytest.raises(StructuredLayersError, match="colours of a chromatic network"):
        search(problem)


def test_a_start_of_the_wrong_length_or_time_is_refused() -> None:
    strategy = search()
    with pytest.raises(StructuredLayersError, match="must have shape"):
        strategy.start_at(torch.zeros(3))
    with pytest.raises(StructuredLayersError, match="no structure that could start"):
        strategy.start_at(strategy.status["center"], torch.zeros(18, dtype=torch.int64))
    strategy.step()
    with pytest.raises(StructuredLayersError, match="before its first step"):
        strategy.start_at(strategy.status["center"])
