"""What fails in real runs: actors that die, candidates that hang, and what each costs."""

import logging
import os
import signal
import threading
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import ray
import torch
from evotorch import SolutionBatch
from evotorch.algorithms import PGPE
from fault_envs import Crashing, Doomed, Hanging, SlowInOneProcess

from structured_layers import mlp
from structured_layers.errors import EvaluationError, StructuredLayersError
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.integrations.evotorch import dispatch as dispatch_module
from structured_layers.integrations.evotorch.fitness import check_failures
from structured_layers.integrations.evotorch.rollouts import Rollouts
from structured_layers.integrations.evotorch.time_limits import chunk_limit
from structured_layers.integrations.simulators import GymnasiumSimulator, StepResult

N = 24


def make_problem(env, num_actors=2, **settings):
    settings = {"seed": 0, "episode_length": 30, **settings}
    return PolicyProblem(env, mlp(3, [4], 2), num_actors=num_actors, **settings)


def values(problem, n=N):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, problem.solution_length, generator=generator)


def evaluated(problem, n=N):
    batch = SolutionBatch(problem, n, empty=True)
    batch.set_values(values(problem, n))
    problem.evaluate(batch)
    return batch.evals.as_subclass(torch.Tensor).clone()


def healthy(n=N, **settings):
    """What everybody would have got if nobody had come to grief, and who was doomed."""
    problem = make_problem(partial(Doomed, **settings), num_actors=0)
    seeds = [problem._episode_seeds(row)[0] for row in range(n)]
    env, doomed = Doomed(**settings), []
    for seed in seeds:
        env.reset(seed=seed)
        doomed.append(env.doomed)
    return evaluated(problem, n), np.array(doomed)


def pids(problem):
    actors = problem.actors or []
    return ray.get([actor.call.remote("prepare", [], {}) for actor in actors])


def start_actors(problem):
    """Wait for them in an evaluation that is then forgotten."""
    before = problem.state_dict()
    evaluated(problem, 2)
    problem.load_state_dict(before)


class KillsActors:
    """Kills an actor's process every now and then while a generation runs."""

    def __init__(self, problem, times, pause):
        self.problem, self.times, self.pause = problem, times, pause
        self.killed = []

    def __enter__(self):
        start_actors(self.problem)
        self.pids = pids(self.problem)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self):
        for number in range(self.times):
            time.sleep(self.pause)
            os.kill(self.pids[number % len(self.pids)], signal.SIGKILL)
            self.killed.append(self.pids[number % len(self.pids)])

    def __exit__(self, *error):
        self.thread.join()


@pytest.mark.xdist_group("ray")
@pytest.mark.parametrize(
    "actor_config",
    [
        {},
        pytest.param({"max_restarts": 1, "max_task_retries": 1}, marks=pytest.mark.slow),
    ],
)
def test_killed_actors_are_replaced_and_the_numbers_stay(actor_config, ray_session):
    slow = partial(Doomed, share=0.0, step_seconds=0.005)
    problem = make_problem(slow, actor_config=actor_config)
    with KillsActors(problem, times=2, pause=0.3) as killer:
        evals = evaluated(problem)
        assert len(killer.killed) == 2
        assert problem.num_replaced == (0 if actor_config else 2)
        assert problem.status["num_replaced"] == problem.num_replaced
    assert torch.equal(evals, healthy(share=0.0)[0])
    assert not set(killer.pids) & set(pids(problem))
    problem.kill_actors()
    assert problem.crew is None


@pytest.mark.xdist_group("ray")
def test_only_the_candidates_that_hang_are_lost(ray_session, caplog):
    expected, doomed = healthy()
    assert 0 < doomed.sum() <= 3
    problem = make_problem(Hanging, chunk_timeout=2)
    with caplog.at_level(logging.WARNING, logger=dispatch_module.__name__):
        evals = evaluated(problem)
    problem.kill_actors()
    np.testing.assert_array_equal(evals[:, 3].numpy(), doomed)
    assert torch.equal(evals[~doomed], expected[~doomed])
    assert (evals[doomed, 0] == expected[~doomed, 0].min()).all()
    assert problem.num_failed == doomed.sum()
    assert problem.env_steps == expected[~doomed, 2].sum()
    assert "took longer than 2 s" in caplog.text


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_only_the_candidates_that_crash_are_lost(ray_session):
    expected, doomed = healthy(N - 1, share=0.03)
    assert doomed.sum() == 1
    problem = make_problem(partial(Crashing, share=0.03))
    evals = evaluated(problem, N - 1)
    problem.kill_actors()
    np.testing.assert_array_equal(evals[:, 3].numpy(), doomed)
    assert torch.equal(evals[~doomed], expected[~doomed])
    assert problem.num_replaced == dispatch_module.LOST_AFTER


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
@pytest.mark.parametrize(
    ("env", "message"),
    [
        (partial(Hanging, share=1.0), r"candidates 0–11 took longer than 1 s \(strict"),
        (partial(Crashing, share=1.0), r"the actor of candidates .* died.*\(strict"),
    ],
)
def test_strict_stops_at_the_first_actor_that_is_lost(env, message, ray_session):
    problem = make_problem(env, chunk_timeout=1 if env.func is Hanging else "auto", strict=True)
    with pytest.raises(EvaluationError, match=message):
        evaluated(problem)
    problem.kill_actors()


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_a_slow_actor_does_not_hold_the_rest(tmp_path, ray_session, monkeypatch):
    """Chunks go to whoever is free, so the quick actor evaluates nearly all of them."""
    monkeypatch.setattr("structured_layers.integrations.evotorch.actors.CHUNK", 2)
    problem = make_problem(partial(SlowInOneProcess, str(tmp_path)))
    start_actors(problem)
    start = time.perf_counter()
    evals = evaluated(problem)
    seconds = time.perf_counter() - start
    problem.kill_actors()
    assert torch.equal(evals, healthy(share=0.0)[0])
    slow_half = 30 * 0.02 * len(evals) / 2 / 2  # if it had half of the chunks of two candidates
    assert seconds < slow_half


def test_the_time_limit_of_a_chunk():
    assert chunk_limit("auto", 32_000) == 60 + 0.05 * 32_000
    assert chunk_limit(7.5, 32_000) == 7.5
    assert chunk_limit(None, 1) == float("inf")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"chunk_timeout": 5},
            "chunk_timeout=5 needs actors.*num_actors must be at least 2, got 0",
        ),
        ({"chunk_timeout": 0, "num_actors": 2}, "positive number of seconds.*got 0"),
        ({"chunk_timeout": float("nan"), "num_actors": 2}, "positive number"),
        ({"chunk_timeout": "never", "num_actors": 2}, "got 'never'"),
        ({"chunk_timeout": True, "num_actors": 2}, r"positive number of seconds.*got True \(bool"),
        ({"num_actors": "all"}, "num_actors must be an integer of .*\"auto\", got 'all'"),
        ({"num_actors": None}, r"num_actors must be .*at least 0, or \"auto\", got None"),
        ({"num_actors": 2.5}, r"num_actors must be an integer .*got 2\.5 \(float"),
        ({"num_actors": True}, r"num_actors must be an integer .*got True \(bool"),
        ({"num_actors": 2, "ray_address": 6379}, "ray_address must be text .*got 6379"),
    ],
)
def test_settings_that_cannot_be_kept(settings, message):
    with pytest.raises(StructuredLayersError, match=message):
        make_problem(Doomed, **{"num_actors": 0, **settings})


def test_searches_that_draw_in_the_actors_are_refused():
    search = PGPE(
        make_problem(Doomed, num_actors=2),
        popsize=20,
        center_learning_rate=0.1,
        stdev_learning_rate=0.1,
        stdev_init=0.1,
        distributed=True,
    )
    with pytest.raises(StructuredLayersError, match="distributed=True lets actors draw"):
        search.step()


def test_strict_stops_at_the_first_candidate_that_fails():
    from drift_envs import Troubled

    problem = make_problem(partial(Troubled, share=0.05), num_actors=0, strict=True)
    with pytest.raises(EvaluationError, match=r"of 40 candidates failed.*strict.*on fire"):
        evaluated(problem, 40)


def rows(n=10, **flags):
    marks = {name: np.isin(np.arange(n), which) for name, which in flags.items()}
    return replace(Rollouts.empty(n, 3), **marks)


def test_a_warning_of_the_physics_is_an_error_only_if_strict():
    check_failures(rows(warned=[1, 2]), 7, strict=False)
    with pytest.raises(EvaluationError, match=r"0 of 10 .* generation 7 .*warned about 2 \(strict"):
        check_failures(rows(warned=[1, 2]), 7, strict=True)
    check_failures(rows(), 7, strict=True)


def test_40_percent_of_the_candidates_may_fail():
    check_failures(rows(failed=[0, 1, 2, 3]), 7, strict=False)
    with pytest.raises(EvaluationError, match=r"5 of 10 .* generation 7 \(more than 40%\)"):
        check_failures(rows(failed=[0, 1, 2, 3, 4]), 7, strict=False)


class Shaky(GymnasiumSimulator):
    """Its physics become unstable in every third slot, as a native simulator says it.

    Only in the first so many steps, if ``until`` is a number.
    """

    until = float("inf")

    def step(self, slots, actions):
        result = super().step(slots, actions)
        self.until -= 1
        unstable = (np.asarray(slots) % 3 == 2) & (self.until >= 0)
        warned = StepResult.of_warnings(int(unstable.sum()), self.observation_size)
        for column, values in zip(result, warned, strict=True):
            column[unstable] = values
        return result


@pytest.mark.parametrize("num_episodes", [1, 2])
def test_warned_candidates_keep_their_return_and_are_counted(num_episodes):
    problem = make_problem(Doomed, num_actors=0, capacity=24, num_episodes=num_episodes)
    problem._simulator = Shaky(Doomed, capacity=24)
    evals = evaluated(problem, 12)
    unstable = np.arange(12 * num_episodes).reshape(12, num_episodes) % 3 == 2
    assert problem.num_warned == problem.status["num_warned"] == unstable.any(axis=1).sum()
    assert problem.num_failed == 0
    if num_episodes == 1:
        assert (evals[unstable[:, 0], 0] == 0).all()  # unstable in its first step
        assert (evals[unstable[:, 0], 2] == 1).all()


def test_a_slot_that_was_warned_starts_its_next_episode_without():
    problem = make_problem(Doomed, num_actors=0, capacity=3)
    problem._simulator = Shaky(Doomed, capacity=3)
    problem._simulator.until = 1
    evals = evaluated(problem, 12)
    assert problem.num_warned == 1
    assert (evals[:, 2] == 1).tolist() == [row == 2 for row in range(12)]
