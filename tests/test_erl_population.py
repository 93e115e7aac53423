"""The step from one generation of a population to the next."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from erl_cases import small_erl

from structured_layers.integrations.evotorch.rollouts import Rollouts
from structured_layers.integrations.sb3.erl.evolved_population import mean_returns

MODULE = "structured_layers.integrations.sb3.erl.evolved_population"


def rows_with_returns(monkeypatch: pytest.MonkeyPatch, *returns: float) -> None:
    """Let the three actors of each generation have these returns."""
    values = torch.tensor(returns, dtype=torch.float64)
    monkeypatch.setattr(f"{MODULE}.mean_returns", lambda *_: values.clone())


def test_returns_are_means_with_the_bonus_and_of_no_failure() -> None:
    episodes = dataclasses.replace(
        Rollouts.empty(3, 2),
        rewards=np.array([4.0, 2.0, 8.0]),
        alive_bonus=np.array([2.0, 0.0, 2.0]),
        failed=np.array([False, False, True]),
    )
    expected = torch.tensor([3.0, 1.0, torch.nan], dtype=torch.float64)
    assert torch.equal(mean_returns(episodes, 2).nan_to_num(-1), expected.nan_to_num(-1))


def test_learners_are_copied_in_the_last_generation_of_each_period() -> None:
    erl = small_erl(sync_every=2)
    rows = []
    for _ in range(4):
        erl.population.run_generation(erl.models, erl.model.replay_buffer)
        rows.append(erl.population.state_dict()["learner_rows"])
    assert rows == [[], [2], [], [2]]


def test_the_best_actor_is_the_elite(monkeypatch: pytest.MonkeyPatch) -> None:
    erl = small_erl()
    best = erl.population.weights[1].clone()
    rows_with_returns(monkeypatch, 1.0, 3.0, 2.0)
    erl.population.run_generation(erl.models, erl.model.replay_buffer)
    assert erl.population.elite is not None
    assert torch.equal(erl.population.elite, best)
    assert torch.equal(erl.population.weights[0], best)


@pytest.mark.parametrize(("own", "kept"), [(9.0, 1), (torch.nan, 0)])
def test_copies_of_the_learner_that_are_kept_are_counted(
    monkeypatch: pytest.MonkeyPatch, own: float, kept: int
) -> None:
    erl = small_erl()
    population, buffer = erl.population, erl.model.replay_buffer
    assert population.run_generation(erl.models, buffer).learner_rows == ()
    rows_with_returns(monkeypatch, 1.0, 2.0, own)
    generation = population.run_generation(erl.models, buffer)
    assert generation.learner_rows == (2,)
    assert generation.num_learners_kept == kept


def test_a_generation_that_fails_leaves_everything_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    erl = small_erl().learn(8)
    before = copy.deepcopy(erl.population.state_dict())
    size = erl.model.replay_buffer.size()

    def failing(*args: Any) -> None:
        raise ValueError("cannot be added")

    monkeypatch.setattr(f"{MODULE}.add_transitions", failing)
    with pytest.raises(ValueError, match="cannot be added"):
        erl.population.run_generation(erl.models, erl.model.replay_buffer)
    after = erl.population.state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        same = torch.equal(value, after[name]) if torch.is_tensor(value) else value == after[name]
        assert same, name
    assert erl.model.replay_buffer.size() == size
