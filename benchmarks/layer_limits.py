"""What the layers are held to against nn.Linear."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

SHARED = ("Toeplitz", "Hankel", "circulant")


class Row(NamedTuple):
    """One measured time."""

    layer: str
    in_features: int
    out_features: int
    batch: int
    mode: str
    dtype: str
    microseconds: float
    ratio: float  # to nn.Linear


class Limit(NamedTuple):
    """The worst case of one promise."""

    wanted: str
    measured: float
    where: str
    passed: bool


def check_projection(size: int, num_colors: int, seconds: float) -> Limit:
    """Return the promise on the time of a k-means projection."""
    wanted = f"k-means of {size}×{size} weights to {num_colors} colors: ≤ 5 s"
    return Limit(wanted, seconds, "chromatic, conversion, seconds", seconds <= 5)


def check_limits(rows: list[Row], memory: Mapping[str, Mapping[str, float]]) -> list[Limit]:
    """Return every promise that the rows can be held to."""

    def at(size: int, *batches: int) -> Callable[[Row], bool]:
        return lambda r: (r.in_features, r.out_features) == (size, size) and r.batch in batches

    def is_policy_size(row: Row) -> bool:
        return (row.in_features, row.out_features) in ((17, 41), (41, 41)) and row.batch == 64

    forward = [row for row in rows if row.mode == "forward"]
    training = [row for row in rows if row.mode != "forward"]
    shared = [row for row in forward if row.layer in SHARED]
    trained = [row for row in training if row.layer in SHARED]
    ranked = [row for row in rows if "rank" in row.layer and min(row[1:3]) >= 2048]
    large = at(4096, 1, 64)
    checks = [
        ("to_linear() ≤ 1.05 × nn.Linear", 1.05, [r for r in forward if r.layer == "to_linear()"]),
        ("shared entries, forward, batch ≥ 64: ≤ 1.6 ×", 1.6, [r for r in shared if r.batch >= 64]),
        ("shared entries, forward, batch 1: ≤ 2.5 ×", 2.5, [r for r in shared if r.batch == 1]),
        ("shared entries, forward, 4096, batch 1–64: ≤ 1/10", 1 / 10, list(filter(large, shared))),
        ("shared entries, training, 4096, batch 1–64: ≤ 1/8", 1 / 8, list(filter(large, trained))),
        ("displacement rank 1–2, from 2048: < 1", 1.0, ranked),
        (
            "chromatic, forward, 17×41 and 41×41, batch 64: ≤ 2 ×",
            2.0,
            [r for r in forward if r.layer == "chromatic" and is_policy_size(r)],
        ),
    ]
    limits = [_worst(*check) for check in checks if check[2]]
    for kind, bound in (("parameters", 0.05), ("activations", 2.0)):
        name = max(SHARED, key=lambda layer: memory[layer][kind])
        worst = memory[name][kind]
        limits.append(Limit(f"memory of {kind} at 4096: ≤ {bound} ×", worst, name, worst <= bound))
    return limits


def _worst(wanted: str, bound: float, rows: list[Row]) -> Limit:
    row = max(rows, key=lambda r: r.ratio)
    where = f"{row.layer} {row.in_features}×{row.out_features} batch {row.batch}, {row.mode}"
    return Limit(wanted, row.ratio, where, row.ratio <= bound)
