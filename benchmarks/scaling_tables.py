"""The table of the page on simulation, made from the record of the scaling benchmark."""

from __future__ import annotations

import statistics
from typing import Any

from markdown_tables import table

Record = dict[str, Any]


def scaling_table(record: Record | None) -> list[str]:
    """Return what was measured, and the model of what was not."""
    if record is None:
        return ["Nothing is recorded yet.", ""]
    rates = {int(n): statistics.median(r) for n, r in record["steps_per_second"].items()}
    driver, size = record["driver_seconds"], record["bytes"]
    out, back = size["out_per_candidate"], size["back_per_candidate"]
    rows = [_row(row) for row in record["model"]]
    measured = ", ".join(
        f"{rate:,.0f} steps/s with {n} actor{'s' if n > 1 else ''}" for n, rate in rates.items()
    )
    return [
        f"Measured, {record['setting']}: {measured}.",
        "",
        f"A chunk takes {size['out_per_chunk']:,.0f} bytes and {out:,.0f} for each candidate on "
        f"the way out, {size['back_per_chunk']:,.0f} and {back:,.0f} on the way back.",
        "",
        f"The driver's own work is {1e3 * driver['generation']:.1f} ms for a generation, "
        f"{1e6 * driver['candidate']:.0f} µs for a candidate, {1e3 * driver['chunk']:.2f} ms for a "
        "chunk.",
        "",
        "On paper, from these numbers, one chunk for each actor and a network of "
        f"{8e-9 * record['network_bytes_per_second']:.0f} Gbit/s at the driver:",
        "",
        *table(
            (
                *("actors", "candidates", "out", "back", "simulation", "driver", "network"),
                "share of the time that actors simulate",
            ),
            rows,
        ),
        _limit(record["model"][-1]),
        "",
        f"`{record['command']}`, {record['machine']}",
        "",
    ]


def _row(row: Record) -> tuple[str, ...]:
    seconds = row["seconds"]
    return (
        f"{row['actors']:,}",
        f"{row['candidates']:,}",
        _bytes(row["bytes_out"]),
        _bytes(row["bytes_back"]),
        *(f"{seconds[name]:.2f} s" for name in ("simulation", "driver", "network")),
        f"{row['efficiency']:.0%}",
    )


def _bytes(number: float) -> str:
    return f"{number / 1e6:,.1f} MB" if number >= 1e5 else f"{number / 1e3:,.1f} kB"


def _limit(last: Record) -> str:
    seconds = last["seconds"]
    largest = max(seconds, key=lambda name: float(seconds[name]))
    if largest == "simulation":
        other = max(("driver", "network"), key=lambda name: float(seconds[name]))
        return (
            f"At {last['actors']:,} actors the simulation still takes longest; next to it comes "
            f"the {other}'s part."
        )
    return f"At {last['actors']:,} actors the {largest}'s part is the limit."
