"""Times of functions side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

WARM = 0.002  # seconds, below which a call before each sample is not timed


def median_seconds(
    functions: Mapping[str, Callable[[], Any]],
    *,
    rounds: int = 9,
    sample: float = 0.004,
    budget: float = 2.0,
    device: str = "cpu",
) -> dict[str, float]:
    """Return the median time of a call of each function, in rounds that go through all of them.

    Args:
        functions: what to call, by name.
        rounds: samples of each function, fewer (but at least 3) if the budget is too small.
        sample: seconds that a sample lasts at least, by repeating the call.
        budget: seconds for all samples together.
        device: waited for at both ends of a sample if it is not the CPU.
    """
    repeats, once = {}, {}
    for name, function in functions.items():
        function()  # allocations and plans of the first call
        function()
        once[name] = _seconds(function, 1, device)
        repeats[name] = max(1, round(sample / once[name]))
    round_seconds = sum(once[name] * repeats[name] for name in functions)
    rounds = max(3, min(rounds, int(budget / round_seconds)))
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            if once[name] < WARM:
                function()  # its code and data are back in the cache, as for the calls after it
            samples[name].append(_seconds(function, repeats[name], device))
    return {name: statistics.median(times) for name, times in samples.items()}


def _seconds(function: Callable[[], Any], repeats: int, device: str) -> float:
    synchronize(device)
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    synchronize(device)
    return (time.perf_counter() - start) / repeats


def synchronize(device: str) -> None:
    """Wait until a device has done its work."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device.startswith("mps"):
        torch.mps.synchronize()


def forward_call(module: torch.nn.Module, x: torch.Tensor) -> Callable[[], Any]:
    """Return a function that evaluates a module without gradients."""

    def call() -> None:
        with torch.no_grad():
            module(x)

    return call


def training_call(module: torch.nn.Module, x: torch.Tensor) -> Callable[[], Any]:
    """Return a function that runs a module forwards and backwards, to its input as well."""
    x = x.detach().clone().requires_grad_()
    output_gradient = torch.randn_like(module(x))
    wanted = [x, *(p for p in module.parameters() if p.requires_grad)]

    def call() -> None:
        torch.autograd.grad(module(x), wanted, output_gradient)

    return call
