"""Actors that do not come up, and generations that hang, on a Ray without processes."""

import time

import numpy as np
import pytest
from drift_envs import Drift
from fake_ray import NEVER, FakeRay
from ray.exceptions import ActorDiedError, RayTaskError

from structured_layers import mlp
from structured_layers.errors import EvaluationError, StructuredLayersError
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.integrations.evotorch import crew as crew_module
from structured_layers.integrations.evotorch import dispatch as dispatch_module
from structured_layers.integrations.evotorch.crew import MAX_FAILED_STARTS, Crew
from structured_layers.integrations.evotorch.dispatch import Dispatch
from structured_layers.integrations.evotorch.rollouts import Rollouts

PROBLEM = PolicyProblem(Drift, mlp(3, [4], 2), seed=0)


def fake_ray(monkeypatch, **behaviour):
    fake = FakeRay(**behaviour)
    monkeypatch.setattr(crew_module, "ray", fake)
    monkeypatch.setattr(crew_module, "EvaluationActor", fake)
    monkeypatch.setattr(dispatch_module, "ray", fake)
    return fake


def dispatched(crew, chunks=(5, 5), **settings):
    """The rows of a generation in chunks of such sizes."""
    candidates = PROBLEM._candidates(PROBLEM.generate_values(sum(chunks)))
    bounds = np.cumsum([0, *chunks])
    dispatch = Dispatch(
        crew,
        [candidates[start:stop] for start, stop in zip(bounds[:-1], bounds[1:], strict=True)],
        steps_per_candidate=30,
        observation_size=3,
        **{"chunk_timeout": "auto", "strict": False, **settings},
    )
    return Rollouts.concatenate(dispatch.run())


NO_GPU = RayTaskError("prepare", "", StructuredLayersError("no GPU here"))
DEAD = ActorDiedError()


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (NO_GPU, "no GPU here"),
        (DEAD, f"{MAX_FAILED_STARTS} actors in a row died while they started"),
        (NEVER, "an actor was not up after 0.05 s"),
    ],
)
def test_actors_that_cannot_start_say_so_again_until_they_can(start, message, monkeypatch):
    monkeypatch.setattr(crew_module, "START_LIMIT", 0.05)
    fake = fake_ray(monkeypatch, start=lambda place: start)
    crew = Crew(None, 2, {})
    for _ in range(3):
        with pytest.raises((EvaluationError, StructuredLayersError), match=message):
            dispatched(crew)
        time.sleep(0.06)  # the deadline is not the next evaluation's
    if start is DEAD:
        assert fake.starts >= 3 * MAX_FAILED_STARTS  # counted anew in each
    fake.start = lambda place: 0.0 if place else 0.03
    assert len(dispatched(crew).rewards) == 10
    assert fake.alive == 2


def test_one_that_cannot_start_keeps_nobody_from_working(monkeypatch, caplog):
    """Its place is tried again after each time limit, and nobody spins in between."""
    monkeypatch.setattr(crew_module, "START_LIMIT", 0.1)
    fake = fake_ray(monkeypatch, start=lambda place: NEVER if place else 0.0, work=lambda c: 0.25)
    crew = Crew(None, 2, {})
    for _ in range(2):
        assert len(dispatched(crew).rewards) == 10
        fake.sleep(0.15)
    assert 6 <= fake.starts <= 20
    assert fake.waits < 40
    assert "an actor was not up after 0.1 s; another one starts" in caplog.text


def test_work_that_an_error_interrupts_is_not_waited_for(monkeypatch):
    first = PROBLEM._episode_seeds(0)[0]
    fake = fake_ray(monkeypatch, work=lambda c: NO_GPU if c.seeds[0][0] == first else NEVER)
    crew = Crew(None, 2, {})
    with pytest.raises(StructuredLayersError, match="no GPU here"):
        dispatched(crew)
    assert fake.alive == 1  # the one that said it; the other is started when it is needed
    fake.work = lambda candidates: 0.0
    assert len(dispatched(crew).rewards) == 10
    assert fake.alive == 2


def test_a_generation_that_hangs_is_given_up_at_40_percent(monkeypatch):
    seeds = [PROBLEM._episode_seeds(row)[0] for row in range(10)]
    for hanging in (4, 10):
        doomed = set(seeds[:hanging])
        fake = fake_ray(
            monkeypatch,
            work=lambda c, d=doomed: NEVER if d & {s for row in c.seeds for s in row} else 0.0,
        )
        crew = Crew(None, 2, {})
        if hanging == 4:
            lost = dispatched(crew, chunk_timeout=0.05).failed
            assert np.flatnonzero(lost).tolist() == [0, 1, 2, 3]
        else:
            with pytest.raises(EvaluationError, match=r"5 of 10 .* lost already \(more than 40%"):
                dispatched(crew, chunk_timeout=0.05)
            assert fake.starts == 2 + 2 + 5  # two chunks, and five candidates
