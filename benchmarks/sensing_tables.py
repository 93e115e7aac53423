"""The tables of the page on gradient sensing, made from the records of its benchmarks."""

from __future__ import annotations

from typing import Any

from markdown_tables import table

Record = dict[str, Any]


def sensing_tables(directions: Record | None, variance: Record | None) -> list[str]:
    """Return what is recorded of directions and of the estimates' variance."""
    lines = [
        *(cost_table(directions) if directions else []),
        *(cut_table(directions) if directions else []),
        *(theorem_table(variance) if variance else []),
        *(variates_table(variance) if variance else []),
    ]
    return lines or ["Nothing is recorded yet.", ""]


def cost_table(record: Record) -> list[str]:
    """Return times and memory of a generation's directions, kinds side by side."""
    kinds = list(dict.fromkeys(row["kind"] for row in record["rows"]))
    cells = {(row["dimension"], row["kind"]): row for row in record["rows"]}
    rows = [
        (f"{dimension:,}", *(_cost(cells.get((dimension, kind))) for kind in kinds))
        for dimension in dict.fromkeys(row["dimension"] for row in record["rows"])
    ]
    return [
        f"Time of drawing {record['num_directions']} directions block by block, none of them kept, "
        f"and what that adds to the peak memory, on one core (a search holds its candidates "
        f"besides):",
        "",
        *table(("dimension", *kinds), rows),
        f"`{record['command']}`, {record['machine']}",
        "",
    ]


def _cost(row: Record | None) -> str:
    if row is None:
        return "–"
    return f"{_seconds(row['seconds'])}, {row['peak_bytes'] / 2**20:,.0f} MiB"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.2f} ms"


def cut_table(record: Record) -> list[str]:
    """Return the cosines of Hadamard rows that are padded and cut."""
    rows = [
        (
            f"{cut['dimension']:,}",
            str(cut["num_directions"]),
            str(cut["num_factors"]),
            f"{cut['largest_cosine']:.4f}",
            f"{cut['rms_cosine']:.4f}",
            f"{cut['rms_gaussian']:.4f}",
            f"{100 * cut['norm_spread']:.1f} %",
        )
        for cut in record["cuts"]
    ]
    header = (
        "dimension", "rows", "factors", "largest cosine", "root mean square", "independent rows",
        "spread of norms",
    )  # fmt: skip
    return ["Hadamard rows, padded and cut:", "", *table(header, rows)]


def theorem_table(record: Record) -> list[str]:
    """Return the theorem's prediction beside what was measured."""
    rows = [
        (
            str(row["dimension"]),
            str(row["num_directions"]),
            row["estimator"],
            f"{row['mse_iid']:.1f}",
            f"{row['mse_orthogonal']:.1f}",
            f"{row['predicted']:.2f}",
            f"{row['measured']:.2f} ± {row['standard_error']:.2f}",
        )
        for row in record["theorem"]
    ]
    header = (
        "d",
        "N",
        "estimator",
        "MSE iid",
        "MSE orthogonal",
        "predicted difference",
        "measured",
    )
    return [
        "The theorem, with standard errors:",
        "",
        *table(header, rows),
        f"`{record['command']}`",
        "",
    ]


def variates_table(record: Record) -> list[str]:
    """Return what control variates leave of the variance."""
    rows = [
        (
            row["control_variate"],
            row["where"],
            f"{row['without']:.4g}",
            f"{row['with']:.4g}",
            f"{row['ratio']:.3g} ± {row['ratio_error']:.1g}",
        )
        for row in record["control_variates"]
    ]
    header = ("control variate", "where", "without", "with", "ratio")
    return [
        "What learned control variates leave: the squared error of the estimate, and for the "
        "structure baseline the mean square of the pairs' differences:",
        "",
        *table(header, rows),
    ]
