"""Good structures are remembered for their averages and proposed again."""

import pytest
import torch

from structured_layers import StructuredLayersError
from structured_layers.algorithms import Coloring, FixedPopulation, RandomSearch, Replay
from structured_layers.algorithms.controllers.good_structures import GoodStructures

SPACE = Coloring(4, 3)
A, B, C = torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2]])


def test_the_highest_averages_are_kept() -> None:
    memory = GoodStructures(4, size=2, decay=0.5)
    memory.observe(torch.stack([A, B, C]), torch.tensor([1.0, 3.0, 2.0]).double())
    assert torch.equal(memory.members, torch.stack([B, C]))
    memory.observe(torch.stack([B, B]), torch.tensor([1.0, 0.0]).double())  # 3 → 2 → 1
    assert torch.equal(memory.members, torch.stack([C, B]))
    assert memory.scores.tolist() == [2, 1]
    assert memory.counts.tolist() == [1, 3]


def test_the_best_was_seen_twice_if_any_was() -> None:
    memory = GoodStructures(4, size=3, decay=0.5)
    memory.observe(torch.stack([A, B, C]), torch.tensor([1.0, 3.0, 2.0]).double())
    assert torch.equal(memory.best(), B)
    memory.observe(A[None], torch.tensor([1.5]).double())
    assert torch.equal(memory.best(), A)


def test_equal_structures_of_one_generation_are_one_member() -> None:
    memory = GoodStructures(4, size=3, decay=0.5)
    memory.observe(torch.stack([A, B, A]), torch.tensor([1.0, 1.25, 2.0]).double())  # A: 1 → 1.5
    assert torch.equal(memory.members, torch.stack([A, B]))
    assert memory.scores.tolist() == [1.5, 1.25]


@pytest.mark.parametrize(("share", "number"), [(0.0, 0), (0.1, 1), (0.3, 3), (0.9, 3)])
def test_a_share_of_the_proposals_is_remembered(share: float, number: int) -> None:
    space = Coloring(40, 9)
    controller = Replay(RandomSearch(space, seed=0), size=3, share=share, seed=0)
    seen = space.sample(5, torch.Generator().manual_seed(7))
    controller.observe(seen, torch.arange(5.0))
    proposals = controller.propose(10)
    again = (proposals[:, None] == seen[2:]).all(dim=2)  # the best three
    assert again.sum() == number
    assert again.any(dim=0).sum() == number  # none twice


def test_remembered_structures_stand_anywhere() -> None:
    space = Coloring(40, 9)
    controller = Replay(RandomSearch(space, seed=0), share=0.1, seed=0)
    seen = space.sample(5, torch.Generator().manual_seed(7))
    controller.observe(seen, torch.arange(5.0))
    rows = {
        int((controller.propose(10)[:, None] == seen).all(dim=2).any(dim=1).nonzero())
        for _ in range(200)
    }
    assert rows == set(range(10))


def test_the_other_controller_learns_from_everything() -> None:
    inner = FixedPopulation(SPACE, population_size=4, seed=0)
    controller = Replay(inner, seed=0)
    assert torch.equal(controller.best(), inner.best())
    decisions = controller.propose(8)
    controller.observe(decisions, decisions.sum(dim=1))
    assert inner.num_updates == controller.num_updates == 1
    assert torch.equal(controller.best(), inner.best())


def test_bad_arguments() -> None:
    inner = RandomSearch(SPACE, seed=0)
    for arguments, message in (
        ({"size": 0}, "^size must be an integer of at least 1, got 0"),
        ({"share": 1.0}, r"^share must be in \[0, 1\), got 1.0"),
        ({"decay": 1.5}, r"decay must be in \[0, 1\), got 1.5"),
    ):
        with pytest.raises(StructuredLayersError, match=message):
            Replay(inner, **arguments)
