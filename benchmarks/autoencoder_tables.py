"""The tables of the page on weight autoencoders, made from their record."""

from __future__ import annotations

from typing import Any

import numpy as np
from autoencoder_cases import METHODS, SIZES
from markdown_tables import table

Record = dict[str, Any]
MISSING = ["Nothing is recorded yet.", ""]
LAYER_GOAL, LAYER_COMPRESSION = 0.9, 8.0
JOINT_GOAL, JOINT_COMPRESSION = 0.7, 4.0
TRAINING_GOAL = 600  # seconds
PICTURES = {
    "weight_autoencoders_by_networks.png": "Losses and returns, test policies drawn one by one",
    "weight_autoencoders_by_runs.png": "Losses and returns, test policies from other runs, aligned",
    "weight_autoencoders_sizes.png": "Ratio of the returns over the latent size",
}
PARTS = {
    "all-networks": ("all", "networks"),
    "all-runs": ("all", "runs"),
    "solved-networks": ("solved", "networks"),
    "solved-runs": ("solved", "runs"),
}


def autoencoder_parts(record: Record | None) -> dict[str, list[str]]:
    """Return the parts of the page by the names of their markers."""
    if record is None:
        return {name: MISSING for name in (*PARTS, "verdict", "pictures", "origin")}
    cases = list(record["cases"].values())
    parts = {}
    for name, (selection, groups) in PARTS.items():
        chosen = [c for c in cases if c["selection"] == selection and c["groups"] == groups]
        parts[name] = ratio_table(chosen)
    images = [line for name, text in PICTURES.items() for line in (f"![{text}](assets/{name})", "")]
    return {**parts, "verdict": verdict(record), "pictures": images, "origin": origin(record)}


def ratios(case: Record, kind: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return decoded return over input return of each test policy."""
    return np.array(case["test"][kind]) / np.array(case["test"]["input"])


def ratio_table(cases: list[Record]) -> list[str]:
    """Return a row for each layer, size and order of units, with all methods beside each other."""
    columns = [(method, kind) for method in METHODS for kind in ("decoded", "refined")]
    columns = [c for c in columns if any(_has(case, *c) for case in cases)]
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for case in sorted(cases, key=_order):
        groups.setdefault(_order(case), []).append(case)
    rows = []
    for group in groups.values():
        first = group[0]
        cells = [_cell(group, method, kind) for method, kind in columns]
        size = " + ".join(str(value) for value in first["sizes"].values())
        layers = f"`{first['layers']}`"
        order = "aligned" if first["aligned"] else "as they are"
        rows.append((layers, size, f"{first['compression']:.1f} ×", order, *cells))
    titles = [f"{method}, refined" if kind == "refined" else method for method, kind in columns]
    header = ("layers", "latent size", "compression", "units", *titles)
    return table(header, rows) if rows else MISSING


def _order(case: Record) -> tuple[Any, ...]:
    return case["layers"] == "0+2", case["layers"], max(case["sizes"].values()), case["aligned"]


def _has(case: Record, method: str, kind: str) -> bool:
    return bool(case["method"] == method and kind in case["test"])


def _cell(group: list[Record], method: str, kind: str) -> str:
    """Return median and quartiles."""
    found = [ratios(case, kind) for case in group if _has(case, method, kind)]
    if not found:
        return "–"
    low, middle, high = np.quantile(found[0], (0.25, 0.5, 0.75))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def verdict(record: Record) -> list[str]:
    """Return whether the goals were reached, for each way to choose the test policies."""
    rows = []
    for selection, groups in PARTS.values():
        cases = [
            c
            for c in record["cases"].values()
            if (c["selection"], c["groups"], c["method"]) == (selection, groups, "autoencoder")
        ]
        for joint, goal, compression in (
            (False, LAYER_GOAL, LAYER_COMPRESSION),
            (True, JOINT_GOAL, JOINT_COMPRESSION),
        ):
            chosen = [
                c
                for c in cases
                if (len(c["sizes"]) > 1) == joint and c["compression"] >= compression
            ]
            if chosen:
                rows.append(_goal_row(selection, groups, chosen, joint, goal, compression))
    header = ("policies", "split by", "goal", "best encoder alone", "best refined", "reached")
    slowest = max((c["seconds"] for c in record["cases"].values()), default=0.0)
    word = "reached" if slowest <= TRAINING_GOAL else "not reached"
    return [
        *table(header, rows),
        f"The slowest training took {slowest:,.0f} s on one core; goal, at most {TRAINING_GOAL} s "
        f"on two: {word}.",
        "",
    ]


def _goal_row(
    selection: str,
    groups: str,
    cases: list[Record],
    joint: bool,
    goal: float,
    compression: float,
) -> tuple[str, ...]:
    best = {
        kind: max(float(np.median(ratios(case, kind))) for case in cases)
        for kind in ("decoded", "refined")
    }
    what = "all layers" if joint else "a layer"
    reached = [name for name, kind in _KINDS if best[kind] >= goal]
    return (
        selection,
        groups,
        f"{what} at ≥ {compression:g} ×: median ≥ {goal}",
        f"{best['decoded']:.2f}",
        f"{best['refined']:.2f}",
        " and ".join(reached) or "no",
    )


_KINDS = (("by the encoder", "decoded"), ("refined", "refined"))


def origin(record: Record) -> list[str]:
    """Return what the record was made from."""
    zoo, options = record["zoo"], record["options"]
    returns = ", ".join(f"{value:,.0f}" for value in zoo["returns"])
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return [
        f"{zoo['policies']} policies of {zoo['runs']} runs, which took {zoo['env_steps']:,} "
        f"environment steps; {zoo['solved']} of the policies return at least "
        f"{record['solved']:,.0f} and count as solved. Smallest return, quartiles and largest: "
        f"{returns}. Ratios are of up to {options['shown']} test policies over "
        f"{options['episodes']} fresh episodes each.",
        "",
        f"`{record['command']}`, commit `{record['commit'][:12]}`, {record['machine']}; "
        f"{versions}.",
        "",
    ]


def sizes_in(record: Record) -> list[int]:
    """Return the latent sizes that the whole zoo was encoded with."""
    found = {max(case["sizes"].values()) for case in record["cases"].values()}
    return [size for size in SIZES if size in found]
