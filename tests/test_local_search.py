"""What the local search proposes, learns and accepts."""

import pytest
import torch
from torch import Tensor

from structured_layers import StructuredLayersError
from structured_layers.algorithms import Coloring, EdgeSubset, LocalSearch, SearchSpace
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint

SPACES = {"coloring": Coloring(20, 4), "edges": EdgeSubset(20, 6)}
each_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def train(search: LocalSearch, generations: int, noise: float = 0.0, n: int = 32) -> list[Tensor]:
    """Pay a structure for the entries in which it agrees with the hidden one of seed 9."""
    hidden = hidden_structure(search.space)
    generator = torch.Generator().manual_seed(1)
    proposals = []
    for _ in range(generations):
        decisions = search.propose(n)
        scores = agreement(search.space, decisions, hidden)
        search.observe(decisions, scores + noise * torch.randn(n, generator=generator))
        proposals.append(decisions)
    return proposals


def hidden_structure(space: SearchSpace) -> Tensor:
    return space.sample(1, torch.Generator().manual_seed(9))


def agreement(space: SearchSpace, decisions: Tensor, hidden: Tensor) -> Tensor:
    return (space.decode(decisions) == space.decode(hidden)).sum(dim=1).float()


@each_space
@pytest.mark.parametrize("num_mutations", [1, 3])
def test_pairs_share_few_mutations_of_the_incumbent(space: SearchSpace, num_mutations: int) -> None:
    search = LocalSearch(space, num_mutations=num_mutations, unmutated_share=0.25, seed=0)
    search.start_at(hidden_structure(space)[0])
    decisions = search.propose(40)
    assert torch.equal(decisions[0::2], decisions[1::2])
    per_mutation = 1 if isinstance(space, Coloring) else 2  # an edge goes, another comes
    distance = (space.decode(decisions) != space.decode(search.best()[None])).sum(dim=1)
    assert (distance[:10] == 0).all()
    assert (distance[10:] <= num_mutations * per_mutation).all()
    assert distance[10:].max() == num_mutations * per_mutation
    assert len(search.propose(7)) == 7


@each_space
def test_no_mutations_hold_the_structure(space: SearchSpace) -> None:
    search = LocalSearch(space, num_mutations=0, seed=0)
    start = hidden_structure(space)[0]
    search.start_at(start)
    for decisions in train(search, 3):
        assert (decisions == start).all()
    assert torch.equal(search.best(), start)


@each_space
def test_a_hidden_structure_is_found_through_noise(space: SearchSpace) -> None:
    # one entry is worth 1, the noise of a pair's mean is 1.4 · 2^(-1/2) = 1
    search = LocalSearch(space, seed=0)
    before = agreement(space, search.best()[None], hidden_structure(space))
    train(search, 400, noise=2**0.5)
    after = agreement(space, search.best()[None], hidden_structure(space))
    assert float(after) == space.num_edges > float(before)


def test_pure_noise_changes_the_structure_rarely() -> None:
    # threshold 3 with 8 trials of 60 changes; no change is worth anything
    changes = 0
    for seed in range(10):
        search = LocalSearch(SPACES["coloring"], seed=seed)
        generator = torch.Generator().manual_seed(seed)
        for _ in range(20):
            before = search.best()
            search.observe(search.propose(32), torch.randn(32, generator=generator))
            changes += not torch.equal(search.best(), before)
    assert changes <= 20  # of 200 generations with 16 structures each


@each_space
def test_it_goes_on_from_a_checkpoint(space: SearchSpace, tmp_path) -> None:
    search, resumed = LocalSearch(space, seed=0), LocalSearch(space, seed=1)
    train(search, 5, noise=0.1)
    train(resumed, 2)
    write_checkpoint(tmp_path, search.state_dict(), number=5)
    resumed.load_state_dict(read_checkpoint(tmp_path))
    for mine, theirs in zip(train(resumed, 5, 0.1), train(search, 5, 0.1), strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(resumed.best(), search.best())


def test_effects_are_over_the_new_incumbent_after_a_change() -> None:
    space = SPACES["coloring"]
    search = LocalSearch(space, seed=0)
    train(search, 60, noise=0.1)
    on_incumbent = search.state_dict()["effects"][torch.arange(20), search.best()]
    assert (on_incumbent == 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_mutations": -1}, "num_mutations must be an integer of at least 0, got -1"),
        ({"num_mutations": 1.5}, "num_mutations must be an integer"),
        ({"unmutated_share": 0.0}, "unmutated_share must lie in .0, 1., got 0"),
        ({"memory": 1.5}, "memory must lie in"),
        ({"ridge": 0.0}, "ridge must be a positive number"),
        ({"threshold": float("inf")}, "threshold must be a positive number"),
    ],
)
def test_impossible_settings_are_refused(settings, message) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        LocalSearch(SPACES["coloring"], **settings)


def test_a_start_outside_the_space_changes_nothing() -> None:
    search = LocalSearch(SPACES["coloring"], seed=0)
    before = search.best()
    with pytest.raises(StructuredLayersError, match=r"colours must lie in 0\.\.3"):
        search.start_at(torch.full((20,), 4))
    assert torch.equal(search.best(), before)
