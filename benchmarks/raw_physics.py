"""The limit of an evaluator's speed: its own states and controls through nothing but ``mj_step``.

Where a task needs the forces of contacts, ``mj_rnePostConstraint`` after each environment step is
part of the limit: they cannot be had without.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.integrations.simulators import MujocoSimulator, StepResult


class Replay(NamedTuple):
    """One replay in all processes.

    Attributes:
        steps: environment steps.
        rate: environment steps per second, the sum of what the processes reached side by side.
    """

    steps: int
    rate: float


class RecordingSimulator(MujocoSimulator):
    """Keeps every episode's start state and controls."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.recorded: list[tuple[Any, Any, list[Any]]] = []
        self._current: dict[int, list[Any]] = {}

    def reset(self, slots: Any, seeds: Any) -> Any:
        """Start the episodes and keep their states."""
        observations = super().reset(slots, seeds)
        for slot in np.asarray(slots).tolist():
            episode, controls = self._episodes[slot], []
            self.recorded.append((episode.qpos.copy(), episode.qvel.copy(), controls))
            self._current[slot] = controls
        return observations

    def step(self, slots: Any, actions: Any) -> StepResult:
        """Step and keep the controls."""
        rows = np.asarray(actions, dtype=np.float64)
        for slot, row in zip(np.asarray(slots).tolist(), rows, strict=True):
            self._current[slot].append(row)
        return super().step(slots, actions)


class RawPhysics:
    """Processes that first record some episodes and then replay them as fast as MuJoCo can.

    Args:
        env: id of a MujocoSimulator.
        num_processes: how many replay at once.
        env_config: arguments of the environment.
    """

    def __init__(
        self, env: str, num_processes: int, env_config: Mapping[str, Any] | None = None
    ) -> None:
        self._workers = Workers(_serve, num_processes, env, dict(env_config or {}))
        self.close = self._workers.close

    def record(self, problem: PolicyProblem, solutions: Tensor) -> None:
        """Run the episodes of some solutions and keep what is needed to replay them."""
        candidates = problem._candidates(solutions)
        n, workers = len(candidates), self._workers.count
        rows = [slice(n * i // workers, n * (i + 1) // workers) for i in range(workers)]
        self._workers.ask(
            [
                (
                    "record",
                    candidates[part].policies(problem.network, problem.search_space),
                    candidates[part],
                    problem.episode_length,
                )
                for part in rows
            ]
        )

    def replay(self) -> Replay:
        """Replay in all processes at once."""
        answers = self._workers.ask([("replay",)] * self._workers.count)
        return Replay(sum(n for n, _ in answers), sum(n / seconds for n, seconds in answers))


class Workers:
    """Processes that answer questions, all at once.

    Args:
        serve: makes, in each process, the function that answers.
        count: how many processes.
        *args: what ``serve`` is called with.
    """

    def __init__(self, serve: Callable[..., Callable[..., Any]], count: int, *args: Any) -> None:
        context = multiprocessing.get_context("spawn")
        pairs = [context.Pipe() for _ in range(count)]
        self.count = count
        self._pipes = [mine for mine, _ in pairs]
        self._processes = [
            context.Process(target=_answer, args=(serve, args, theirs), daemon=True)
            for _, theirs in pairs
        ]
        for process in self._processes:
            process.start()

    def ask(self, questions: list[tuple[Any, ...]]) -> list[Any]:
        """Send each process its question and return all answers."""
        for pipe, question in zip(self._pipes, questions, strict=True):
            pipe.send(question)
        return [pipe.recv() for pipe in self._pipes]

    def close(self) -> None:
        """End the processes."""
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.send(None)
            process.join()


@contextmanager
def raw_physics(
    env: str, num_processes: int, env_config: Mapping[str, Any] | None = None
) -> Iterator[RawPhysics]:
    """Make the processes and end them."""
    physics = RawPhysics(env, num_processes, env_config)
    try:
        yield physics
    finally:
        physics.close()


def _answer(serve: Callable[..., Callable[..., Any]], args: Any, pipe: Connection) -> None:
    answer = serve(*args)
    while (question := pipe.recv()) is not None:
        pipe.send(answer(*question))


def _serve(env: str, env_config: dict[str, Any]) -> Callable[..., Any]:
    simulator = RecordingSimulator(env, capacity=256, env_config=env_config)

    def answer(task: str, *arguments: Any) -> Any:
        return _replay(simulator) if task == "replay" else _record(simulator, *arguments)

    return answer


def _record(simulator: RecordingSimulator, policies: Any, candidates: Any, length: int) -> None:
    from structured_layers.integrations.evotorch.rollouts import rollout

    simulator.recorded.clear()
    rollout(
        policies, simulator, candidates.seeds,
        episode_length=length, normalization=candidates.normalization,
    )  # fmt: skip
    simulator.recorded = [(q, v, np.array(controls)) for q, v, controls in simulator.recorded]


def _replay(simulator: RecordingSimulator) -> tuple[int, float]:
    """Step one MjData through every recorded episode; return environment steps and seconds."""
    mujoco, model, task = simulator._mujoco, simulator._model, simulator._task
    frame_skip, forces = task.frame_skip, task.contact_forces
    data = mujoco.MjData(model)
    mj_step, post, ctrl = mujoco.mj_step, mujoco.mj_rnePostConstraint, data.ctrl
    start, steps = time.perf_counter(), 0
    for qpos, qvel, controls in simulator.recorded:
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:] = qpos, qvel
        mujoco.mj_forward(model, data)
        for control in controls:
            ctrl[:] = control
            mj_step(model, data, frame_skip)
            if forces:
                post(model, data)
        steps += len(controls)
    return steps, time.perf_counter() - start
