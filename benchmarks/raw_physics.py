"""The limit of a search's speed: its own states and controls through nothing but ``mj_step``."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import numpy as np
from torch import Tensor

from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.integrations.simulators import MujocoSimulator, StepResult


class RecordingSimulator(MujocoSimulator):
    """Keeps every slot's start state and controls."""

    def reset(self, slots: Any, seeds: Any) -> Any:
        """Start the episodes and keep their states."""
        observations = super().reset(slots, seeds)
        self.starts = [(e.qpos.copy(), e.qvel.copy()) for e in self._episodes if e is not None]
        self.controls: list[Any] = []
        return observations

    def step(self, slots: Any, actions: Any) -> StepResult:
        """Step and keep the controls."""
        self.controls.append(np.asarray(actions, dtype=np.float64))
        return super().step(slots, actions)


class RawPhysics:
    """Processes that first record some episodes and then replay them as fast as MuJoCo can.

    Args:
        env: id of a MujocoSimulator whose episodes never end early.
        num_processes: how many replay at once.
    """

    def __init__(self, env: str, num_processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        pairs = [context.Pipe() for _ in range(num_processes)]
        self._pipes = [mine for mine, _ in pairs]
        self._processes = [
            context.Process(target=_serve, args=(env, theirs), daemon=True) for _, theirs in pairs
        ]
        for process in self._processes:
            process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.send(None)
            process.join()

    def record(self, problem: PolicyProblem, solutions: Tensor) -> None:
        """Run the episodes of some solutions and keep what is needed to replay them."""
        candidates = problem._candidates(solutions)
        n, workers = len(candidates), len(self._pipes)
        for number, pipe in enumerate(self._pipes):
            rows = slice(n * number // workers, n * (number + 1) // workers)
            policies = candidates[rows].policies(problem.network, problem.search_space)
            pipe.send(("record", (policies, candidates[rows], problem.episode_length)))
        for pipe in self._pipes:
            pipe.recv()

    def replay(self) -> float:
        """Replay in all processes at once and return the environment steps per second."""
        start = time.perf_counter()
        for pipe in self._pipes:
            pipe.send(("replay", None))
        steps = sum(pipe.recv() for pipe in self._pipes)
        return steps / (time.perf_counter() - start)


def _serve(env: str, pipe: Connection) -> None:
    simulator = RecordingSimulator(env, capacity=256)
    while (message := pipe.recv()) is not None:
        task, arguments = message
        pipe.send(_replay(simulator) if task == "replay" else _record(simulator, *arguments))


def _record(simulator: RecordingSimulator, policies: Any, candidates: Any, length: int) -> None:
    from structured_layers.integrations.evotorch.rollouts import rollout

    rollout(
        policies, simulator, candidates.seeds,
        episode_length=length, normalization=candidates.normalization,
    )  # fmt: skip
    simulator.episodes = np.stack(simulator.controls, axis=1)  # (episodes, steps, controls)


def _replay(simulator: RecordingSimulator) -> int:
    """Step one MjData through every recorded episode; return the number of environment steps."""
    mujoco, model = simulator._mujoco, simulator._model
    frame_skip = simulator._task.frame_skip
    data = mujoco.MjData(model)
    mj_step, ctrl = mujoco.mj_step, data.ctrl
    for (qpos, qvel), episode in zip(simulator.starts, simulator.episodes, strict=True):
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:] = qpos, qvel
        mujoco.mj_forward(model, data)
        for control in episode:
            ctrl[:] = control
            mj_step(model, data, frame_skip)
    return simulator.episodes.shape[0] * simulator.episodes.shape[1]
