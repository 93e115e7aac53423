"""Reads damaged folders in a process of its own, whose memory is limited.

    python tests/fuzz_worker.py FOLDER FIRST COUNT

makes the mutations FIRST to FIRST + COUNT of small runs and policies below FOLDER and prints, as
JSON, how many of each kind were loaded and how many raised, and what went wrong.
"""

import contextlib
import faulthandler
import json
import logging
import random
import resource
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzz_mutations import mutate
from torch import nn

from structured_layers import CheckpointError, load_policy
from structured_layers.actions import BoxActions, DiscreteActions
from structured_layers.algorithms.checkpoints import read_checkpoint
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig
from structured_layers.layers import ChromaticLinear, MaskedLinear, ToeplitzLinear
from structured_layers.policy import Policy
from structured_layers.sequential_spec import SequentialSpec

GIB = 2**30
BACKSTOP = 4 * GIB  # of address space, so that a mistake does not take the machine with it
HANGS = 60  # seconds of a wall clock, which on a busy machine is slow
SECONDS = 1.0  # of the processor
Reader = Callable[[Path], Any]


def make_runs(folder: Path) -> list[Path]:
    """Small runs that have begun: dense, chromatic with a queue, edges with CMA-ES."""
    settings = [
        {"structure": "dense", "slope": True},
        {"structure": "chromatic", "controller_population": 4, "baseline": "structure"},
        {"structure": "edges", "num_edges": 6, "optimizer": "cmaes", "controller": "random"},
    ]
    paths = []
    for number, setting in enumerate(settings):
        config = RunConfig(
            "drift_envs:Drift-v0", hidden=(3,), popsize=4, center_evaluations=1,
            total_steps=400, seed=number, **setting,
        )  # fmt: skip
        paths.append(folder / f"run{number}")
        Run.create(paths[-1], config).train()
        shutil.rmtree(paths[-1] / "tensorboard")
    return paths


def make_policies(folder: Path) -> list[Path]:
    """A policy of layers of several kinds, and a discrete one."""
    network = nn.Sequential(
        ToeplitzLinear(5, 4), nn.Tanh(), MaskedLinear(4, 4), nn.ReLU(),
        ChromaticLinear(4, 2, palette=3),
    )  # fmt: skip
    bounds = BoxActions(-np.ones(2, np.float32), np.ones(2, np.float32))
    normalizer = {"observation_mean": np.zeros(5), "observation_std": np.ones(5)}
    Policy(network, bounds, spec=SequentialSpec.of(network), **normalizer).save(folder / "mixed")
    dense = nn.Sequential(nn.Linear(5, 3))
    choice = DiscreteActions(3, 1)
    Policy(dense, choice, spec=SequentialSpec.of(dense), env="CartPole-v1").save(folder / "choice")
    return [folder / "mixed", folder / "choice"]


def read_run(folder: Path) -> Any:
    run = Run.resume(folder)
    run.problem.simulator.close()
    return run._state(), run.progress.read(), run.config


def read_policy(folder: Path) -> Any:
    policy = load_policy(folder)
    facts = [policy.actions, policy.spec, policy.env, policy.observation_shape]
    return policy.network.state_dict(), policy.observation_mean, policy.observation_std, repr(facts)


def readers_of(folder: Path) -> list[Reader]:
    if not (folder / "checkpoint").exists():
        return [read_policy]
    return [read_policy, lambda path: read_checkpoint(path / "checkpoint"), read_run]


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal, every bit of their tensors too."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return type(one) is type(other) and one == other


def peak_memory() -> int:
    """Bytes of the largest resident memory since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    with contextlib.suppress(OSError):  # where it may not, only what exceeds all before is seen
        Path("/proc/self/clear_refs").write_text("5")


def attempt(folder: Path, expected: Any, read: Reader, forged: bool) -> bool:
    """Read once; whether it raised. Anything but the right state or the right error is a failure.

    A file whose checksum was made to fit may say something else, which is what it then loads as.
    """
    try:
        found = read(folder)
    except CheckpointError:
        return True
    if not forged and not same(found, expected):
        raise AssertionError("it loaded, and as something else")
    return False


def try_mutation(number: int, bases: list[tuple[Path, list[Any]]], work: Path) -> tuple[str, bool]:
    """Damage a copy and read it in every way; return the kind and whether anything raised."""
    draw = random.Random(number)
    base, expected = bases[number % len(bases)]
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(base, work)
    kind = mutate(work, [path for path, _ in bases if path != base], draw)
    forged = any(work.rglob("forged"))
    raised = False
    for reader, right in zip(readers_of(base), expected, strict=True):
        forget_peak()
        before, start = peak_memory(), time.process_time()
        raised |= attempt(work, right, reader, forged)
        seconds, memory = time.process_time() - start, peak_memory() - before
        if seconds > SECONDS or memory > GIB:
            raise AssertionError(f"it took {seconds:.2f} s and {memory / GIB:.2f} GiB")
    return kind + (" and sealed" if forged else ""), raised


def run_all(folder: Path, first: int, count: int) -> dict[str, Any]:
    """Try the mutations and count what they did."""
    pristine = folder / "pristine"
    paths = [*make_runs(pristine), *make_policies(pristine)]
    bases = [(path, [read(path) for read in readers_of(path)]) for path in paths]
    loaded: Counter[str] = Counter()
    raised: Counter[str] = Counter()
    failures = []
    for number in range(first, first + count):
        faulthandler.dump_traceback_later(HANGS, exit=True)
        try:
            kind, did_raise = try_mutation(number, bases, folder / "work")
            (raised if did_raise else loaded)[kind] += 1
        except BaseException:  # what crosses from Rust is no Exception
            failures.append(f"mutation {number}: {traceback.format_exc()}")
    faulthandler.cancel_dump_traceback_later()
    return {"loaded": loaded, "raised": raised, "failures": failures}


def main() -> None:
    logging.getLogger("evotorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    folder, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (virtual + BACKSTOP, resource.RLIM_INFINITY))
    print(json.dumps(run_all(folder, first, count)))


if __name__ == "__main__":
    main()
