"""The tables of the Stable-Baselines3 records, as lines of Markdown."""

from __future__ import annotations

import statistics

from markdown_tables import table
from sb3_records import (
    Record,
    color_rows,
    dense_returns,
    grouped,
    last_of,
    mean_bits,
    mean_return,
    solved_at,
    standard_error,
)


def sweep_table(sweep: Record, names: tuple[str, ...]) -> list[str]:
    """Return the rows of a sweep that have these names."""
    dense, rows = dense_returns(sweep), []
    for row in sweep["rows"]:
        if row["name"] not in names:
            continue
        last = last_of(row)
        rows.append(
            (
                row["name"],
                f"{row['weights']:,}",
                f"{row['bits']['entropy']:,}",
                returns(last),
                f"{last['mean'] / dense['before']:.1%}",
                f"{last['mean'] / dense['after']:.1%}",
            )
        )
    header = (
        "actor", "weights", "bits", "return after fine-tuning", "of the dense model",
        "of the dense model, fine-tuned as long",
    )  # fmt: skip
    return table(header, rows)


def colors_table(sweep: Record | None, fixed: Record | None = None) -> list[str]:
    """Return what each step of the compression leaves of the dense return, by colors."""
    if sweep is None:
        return []
    dense, without = dense_returns(sweep)["before"], color_rows(fixed)
    rows = []
    for colors, row in color_rows(sweep).items():
        steps = [row["projected"], row["distilled"], row["tuned"]]
        if without:
            steps.append(last_of(without[colors]) if colors in without else None)
        rows.append((str(colors), f"{row['weights']:,}", *(share(step, dense) for step in steps)))
    header = ["colors", "weights", "nearest weights", "distilled", "fine-tuned"]
    return table([*header, "all of it with fixed colors"] if without else header, rows)


def share(value: dict[str, float] | None, dense: float) -> str:
    return "" if value is None else percent(value["mean"] / dense)


def percent(part: float, digits: int = 1) -> str:
    return f"{round(part, digits + 2) + 0.0:.{digits}%}"  # the sum turns a negative zero around


def returns(value: dict[str, float]) -> str:
    return f"{value['mean']:,.0f} ± {value['std']:,.0f}"


def training_table(records: list[Record], task: str) -> list[str]:
    """Return a row for each structure and width of a task, its seeds together."""
    groups = grouped(records, task)
    if not groups:
        return ["Nothing is recorded yet.", ""]
    title, compare = COMPARISONS[task]
    dense = {arch: group for (label, arch), group in groups.items() if label == "dense"}
    rows = [
        (
            label,
            arch,
            f"{group[0]['weights']:,}",
            f"{mean_bits(group):,.0f}",
            "; ".join(f"{record['return_mean']:,.1f}" for record in group),
            with_error(mean_return(group), standard_error(group)),
            compare(group, dense.get(arch, [])),
        )
        for (label, arch), group in groups.items()
    ]
    header = (
        "actor", "hidden", "weights", "bits", "return of each seed", "mean ± standard error", title,
    )  # fmt: skip
    return table(header, rows)


def with_error(mean: float, error: float | None) -> str:
    return f"{mean:,.1f}" + ("" if error is None else f" ± {error:,.1f}")


def share_of_dense(group: list[Record], dense: list[Record]) -> str:
    return f"{mean_return(group) / mean_return(dense):.1%}" if dense else ""


def solved_cell(group: list[Record], dense: list[Record]) -> str:
    """Return the steps in which each seed solved CartPole."""
    return "; ".join(f"{steps:,}" if steps else "never" for steps in map(solved_at, group))


def difference_cell(group: list[Record], dense: list[Record]) -> str:
    if not dense or group is dense:
        return ""
    mean, error = difference(group, dense)
    return with_error(mean, error)


def difference(group: list[Record], dense: list[Record]) -> tuple[float, float | None]:
    """Return by how much the mean return differs from dense, and the standard error of that."""
    errors = standard_error(group), standard_error(dense)
    mean = mean_return(group) - mean_return(dense)
    if errors[0] is None or errors[1] is None:
        return mean, None
    return mean, (errors[0] ** 2 + errors[1] ** 2) ** 0.5


def steps_ratio(group: list[Record], dense: list[Record]) -> float | None:
    """Return in how many times the steps of dense CartPole was solved, None if it was not."""
    ours, theirs = [solved_at(r) for r in group], [solved_at(r) for r in dense]
    if not theirs or None in ours or None in theirs:
        return None
    return statistics.mean(ours) / statistics.mean(theirs)


COMPARISONS = {
    "halfcheetah": ("of dense", share_of_dense),
    "cartpole": ("steps to 475, each seed", solved_cell),
    "pendulum": ("difference to dense ± standard error", difference_cell),
    "mountaincar": ("difference to dense ± standard error", difference_cell),
}


def overhead_table(record: Record | None) -> list[str]:
    """Return the speeds of training with each structure, and what it costs."""
    if record is None:
        return ["Nothing is recorded yet.", ""]
    rows = [
        (
            algorithm,
            kind,
            f"{result['steps_per_second']:,.0f}",
            "" if kind == "dense" else f"{result['overhead']:+.1%}",
            "" if kind == "dense" else f"{record['allowed_overhead']:.0%}",
        )
        for algorithm, results in record["algorithms"].items()
        for kind, result in results.items()
    ]
    header = ("algorithm", "actor", "env steps per second", "overhead", "goal, at most")
    return table(header, rows)
