"""The tables and the sentences on the claims of the papers, made from the records of ES-ENAS."""

from __future__ import annotations

import csv
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from es_enas_records import center_curve, least_bits, smoothed
from markdown_tables import table

Record = dict[str, Any]
MISSING = ["Nothing is recorded yet.", ""]
TRUE, FALSE, OPEN = "true here", "false here", "not decided"


def es_enas_parts(results: Path, records: dict[str, Record]) -> dict[str, list[str]]:
    """Return the parts of the page by the names of their markers.

    Args:
        results: the folder of all records.
        records: those of ES-ENAS by their names.
    """
    rows = [(r["name"], *_row(r)) for r in _named(records)]
    header = (
        "record", "env steps", "weights", "least bits", "return over 100 fresh episodes", "seconds",
    )  # fmt: skip
    commands = [
        f"- `{r['name']}`: `{r['command']}`, commit `{r['commit'][:12]}`" for r in _named(records)
    ]
    return {
        "es-enas": table(header, rows) if rows else MISSING,
        "es-enas-commands": [*commands, ""] if commands else MISSING,
        "claims": _claims(results / "es_enas", records),
    }


def _named(records: dict[str, Record]) -> list[Record]:
    return [{**record, "name": name} for name, record in sorted(records.items())]


def _row(record: Record) -> tuple[str, ...]:
    return (
        f"{record['env_steps']:,}",
        f"{record['weights']} for {record['dense_weights']} edges",
        f"{least_bits(record):,}",
        f"{record['return_mean']:,.0f} ± {record['return_std']:,.0f}",
        f"{record['training_seconds']:,.0f}",
    )


def _claims(folder: Path, records: dict[str, Record]) -> list[str]:
    """Return a table of what the papers say and what these records say to it."""
    rows = [
        ("[CN] The reward jumps when the controller is updated.", *_jumps(folder, records)),
        (
            "[CN] More colours help: L/50 against L/17.",
            *_compared(records, "halfcheetah-l-50-colors", "halfcheetah-l-17-colors"),
        ),
        (
            "[CN] A hidden layer helps: H41 against L.",
            *_compared(records, "halfcheetah-h41-17-colors", "halfcheetah-l-17-colors"),
        ),
        (
            "[CN] A second hidden layer helps: H41+H41 against H41.",
            *_compared(records, "halfcheetah-h41-h41-17-colors", "halfcheetah-h41-17-colors"),
        ),
        ("[CN] Six times fewer weights than Toeplitz matrices.", *_toeplitz(records)),
        ("[CN] Over 92 % fewer parameters.", *_fewer(records)),
        (
            "[CN] A learned controller beats random colourings.",
            *_compared(records, _controller("regularized-evolution"), _controller("random")),
        ),
        (
            "[CN] A learned controller beats a fixed population.",
            *_compared(records, _controller("regularized-evolution"), _controller("fixed")),
        ),
        (
            "[EE] Regularised evolution converges faster than policy gradient.",
            *_faster(folder, records),
        ),
        (
            "[EE] Policy gradient sometimes ends better.",
            *_compared(
                records, _controller("policy-gradient"), _controller("regularized-evolution")
            ),
        ),
        (
            "[EE] Searched non-linearities help 64 edges.",
            *_compared(records, "halfcheetah-64-edges-activations", "halfcheetah-64-edges"),
        ),
    ]
    return table(("claim", "verdict", "what was seen"), rows)


def _controller(name: str) -> str:
    return f"halfcheetah-17-colors-{name}"


def _seeds(records: dict[str, Record], name: str) -> list[Record]:
    return [r for key, r in sorted(records.items()) if key.rpartition("-seed")[0] == name]


def _compared(records: dict[str, Record], one: str, other: str) -> tuple[str, str]:
    """Compare two kinds of runs by their returns.

    With one seed each the episodes have to be apart: neither mean within the other's deviation.
    """
    groups = _seeds(records, one), _seeds(records, other)
    if not all(groups):
        return OPEN, "no records"
    (mean, spread), (other_mean, other_spread) = (_mean_and_spread(group) for group in groups)
    gap = mean - other_mean
    clear = abs(gap) > max(spread, other_spread)
    verdict = OPEN if not clear else TRUE if gap > 0 else FALSE
    counts = " and ".join(_seed_count(group) for group in groups)
    steps = max(r["env_steps"] for r in groups[0])
    return verdict, (
        f"{mean:,.0f} ± {spread:,.0f} against {other_mean:,.0f} ± {other_spread:,.0f} after "
        f"{steps / 1e6:.0f}M steps; {counts}"
    )


def _mean_and_spread(group: list[Record]) -> tuple[float, float]:
    """Return mean and deviation over the seeds, of the episodes if there is one seed."""
    means = [r["return_mean"] for r in group]
    if len(means) == 1:
        return means[0], group[0]["return_std"]
    return statistics.mean(means), statistics.stdev(means)


def _seed_count(group: list[Record]) -> str:
    return "one seed" if len(group) == 1 else f"{len(group)} seeds"


def _jumps(folder: Path, records: dict[str, Record]) -> tuple[str, str]:
    """Compare how the centre's return changes at updates of the controller and between them."""
    name = "halfcheetah-17-colors-phases-seed0"
    if name not in records:
        return OPEN, "no records"
    with (folder / name / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    changes = np.diff([float(row["return_center"]) for row in rows])
    updates = np.diff([int(row["controller_updates"]) for row in rows])[:-1] > 0
    at, between = changes[1:][updates], changes[1:][~updates]  # the colouring after an update
    error = math.sqrt(at.var(ddof=1) / len(at) + between.var(ddof=1) / len(between))
    score = (at.mean() - between.mean()) / error
    verdict = TRUE if score > 3 else FALSE if score < -3 else OPEN
    return verdict, (
        f"the centre changes by {at.mean():+,.0f} at {len(at)} updates and by "
        f"{between.mean():+,.1f} in the other generations, {score:.1f} standard errors apart; "
        f"one seed"
    )


def _toeplitz(records: dict[str, Record]) -> tuple[str, str]:
    few, many = (
        _seeds(records, name) for name in ("halfcheetah-h41-17-colors", "halfcheetah-h41-toeplitz")
    )
    if not few or not many:
        return OPEN, "no records"
    one, other = few[0], many[0]
    ratio = other["weights"] / one["weights"]
    verdict = TRUE if ratio > 6 and one["return_mean"] >= other["return_mean"] else FALSE
    return verdict, (
        f"{other['weights']} against {one['weights']} weights, {ratio:.1f} times fewer; the return "
        f"is {one['return_mean']:,.0f} ± {one['return_std']:,.0f} against "
        f"{other['return_mean']:,.0f} ± {other['return_std']:,.0f} with Toeplitz matrices"
    )


def _fewer(records: dict[str, Record]) -> tuple[str, str]:
    found = _seeds(records, "halfcheetah-h41-17-colors")
    if not found:
        return OPEN, "no records"
    record = found[0]
    share, whole = record["paper_compression"], record["compression"]
    return TRUE if share > 0.92 else FALSE, (
        f"H41 with 17 colours saves {100 * share:.1f} % as the paper counts, {100 * whole:.1f} % "
        f"with all biases"
    )


def _faster(folder: Path, records: dict[str, Record]) -> tuple[str, str]:
    """Compare the steps to half of what the better of both reaches."""
    names = [f"{_controller(name)}-seed0" for name in ("regularized-evolution", "policy-gradient")]
    if not all(name in records for name in names):
        return OPEN, "no records"
    curves = [center_curve(folder / name) for name in names]
    level = max(float(smoothed(returns).max()) for _, returns in curves) / 2
    steps = [_first_above(x, smoothed(returns), level) for x, returns in curves]
    verdict = TRUE if steps[0] < steps[1] else FALSE
    words = ["never" if math.isinf(s) else f"after {s / 1e6:.1f}M steps" for s in steps]
    return verdict, (
        f"{level:,.0f}, half of the best centre, is reached {words[0]} by evolution and {words[1]} "
        f"by policy gradient; one seed each"
    )


def _first_above(steps: Any, values: Any, level: float) -> float:
    above = np.nonzero(values >= level)[0]
    return float(steps[above[0]]) if len(above) else math.inf
