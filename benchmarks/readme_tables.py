"""Write what the records measured into README.md and the pages of the documentation.

    python benchmarks/readme_tables.py           # rewrite the pages
    python benchmarks/readme_tables.py --check   # fail if they are not up to date

The pages hold markers, ``<!-- results:start -->`` and ``<!-- results:end -->``; what stands between
them is made from ``benchmarks/results/*/record.json``, the records of Stable-Baselines3 policies in
``benchmarks/results/sb3/`` and the records of the single benchmarks beside them. A page with more
such parts names each: ``<!-- results:start sweep -->``. Pictures of the records are copied to
``docs/assets/``, where the pages find them.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autoencoder_tables import autoencoder_parts
from better_search import GROUP as BETTER_SEARCH
from better_search_tables import better_search_parts, reached_table
from controllers_tables import controllers_parts
from erl_tables import erl_parts
from es_enas_records import GROUP as ES_ENAS
from es_enas_tables import es_enas_parts
from latent_evolution_tables import latent_evolution_parts, steps_table
from layer_tables import digits_table, limits_table
from markdown_tables import table
from rollout_tables import goals_section
from sb3_pages import Parts, how_small_parts, pictures, readme_parts
from scaling_tables import scaling_table
from search_records import GROUP
from search_tables import search_parts
from sensing_tables import sensing_tables

ROOT = Path(__file__).resolve().parent.parent
MARKED = re.compile(
    r"(?P<start><!-- results:start ?(?P<name>[\w-]*) -->\n).*?(?P<end><!-- results:end -->)",
    re.DOTALL,
)
PICTURES = {"learning_curve.png": "Learning curve", "weights.png": "Weight matrices"}
Record = dict[str, Any]


def main(args: Sequence[str] | None = None) -> int:
    """Write or check the files and return the exit code."""
    parser = argparse.ArgumentParser(description="Write the measured tables into the pages.")
    parser.add_argument("--check", action="store_true", help="change nothing, fail if outdated")
    parser.add_argument("--root", type=Path, default=ROOT, help="of the repository")
    options = parser.parse_args(args)
    outdated = outdated_files(options.root)
    if not options.check:
        for path, data in outdated.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    for path in outdated:
        print(f"{'outdated' if options.check else 'wrote'}: {path.relative_to(options.root)}")
    if options.check and outdated:
        print("run `python benchmarks/readme_tables.py`")
        return 1
    return 0


def outdated_files(root: Path) -> dict[Path, bytes]:
    """Return the files that differ from what the records say, with what they should hold."""
    results = root / "benchmarks" / "results"
    records = read_records(results)
    speed = read_measurement(results / "rollout_throughput.json")
    imports = read_measurement(results / "import_time.json")
    summary = [*returns_table(records), *speed_table(speed), *import_sentence(imports)]
    docs = root / "docs"
    digits = digits_table(read_measurement(results / "digits.json"))
    limits = limits_table(read_measurement(results / "layers.json"))
    sensing = sensing_tables(
        read_measurement(results / "directions.json"),
        read_measurement(results / "gradient_variance.json"),
    )
    scaling = scaling_table(read_measurement(results / "scaling.json"))
    wanted: dict[Path, Parts] = {
        root / "README.md": {
            "": summary,
            "search": reached_table(read_records(results / BETTER_SEARCH)),
            "codes": steps_table(read_records(results / "latent_evolution")),
            "hybrids": erl_parts(read_records(results / "erl"))["returns"],
            **readme_parts(results),
        },
        docs / "results.md": {"": [*summary, *details(records, speed, imports)]},
        docs / "how_small.md": how_small_parts(results),
        docs / "layers" / "learned.md": {"": digits},
        docs / "layers" / "speed.md": {"": limits},
        docs / "gradient_sensing.md": {"": sensing},
        docs / "simulation.md": {"": scaling},
        docs / "controllers.md": controllers_parts(
            read_measurement(results / "controllers.json"),
            read_measurement(results / "mask_convergence.json"),
        ),
        docs / "better_search.md": better_search_parts(
            read_records(results / BETTER_SEARCH), read_records(results / "sb3")
        ),
        docs / "latent_evolution.md": latent_evolution_parts(
            read_records(results / "latent_evolution")
        ),
        docs / "weight_autoencoders.md": autoencoder_parts(
            read_measurement(results / "weight_autoencoders.json")
        ),
        docs / "erl.md": erl_parts(read_records(results / "erl")),
        docs / "es_enas_results.md": es_enas_parts(results, read_records(results / ES_ENAS)),
        docs / "search_results.md": search_parts(
            read_records(results / GROUP), read_measurement(results / "ars_settings.json")
        ),
    }
    files = {path: replace_marked(path, parts) for path, parts in wanted.items()}
    files |= {docs / "assets" / name: data for name, data in pictures(results).items()}
    for name in records:
        for picture in PICTURES:
            if (results / name / picture).exists():
                target = docs / "assets" / f"{name}_{picture}"
                files[target] = (results / name / picture).read_bytes()
    return {
        path: data for path, data in files.items() if not path.exists() or path.read_bytes() != data
    }


def read_records(results: Path) -> dict[str, Record]:
    """Return the records by name."""
    return {
        path.parent.name: json.loads(path.read_text())
        for path in sorted(results.glob("*/record.json"))
    }


def read_measurement(path: Path) -> Record | None:
    """Return a record of its own file, None if there is none."""
    return json.loads(path.read_text()) if path.exists() else None


def replace_marked(path: Path, parts: Parts) -> bytes:
    """Return a page with the lines between its markers replaced."""
    page = path.read_text(encoding="utf-8")
    names = [match["name"] for match in MARKED.finditer(page)]
    if sorted(names) != sorted(parts):
        raise SystemExit(
            f"{path} needs <!-- results:start NAME --> and <!-- results:end --> once for each of "
            f"{sorted(parts)}, where '' stands without a name; it has {sorted(names)}"
        )

    def replaced(match: re.Match[str]) -> str:
        return match["start"] + "\n".join(["", *parts[match["name"]], match["end"]])

    return MARKED.sub(replaced, page).encode()


def returns_table(records: dict[str, Record]) -> list[str]:
    """Return a row for each command, its seeds together."""
    if not records:
        return ["No run is recorded yet.", ""]
    episodes = "/".join(sorted({str(r["num_episodes"]) for r in records.values()}))
    rows = [returns_row(group) for group in by_command(list(records.values()))]
    header = (
        "environment", "structure", "hidden", "weights (of edges)", "compression",
        f"return over {episodes} fresh episodes", "env steps", "seeds",
    )  # fmt: skip
    return table(header, rows)


def by_command(records: list[Record]) -> list[list[Record]]:
    """Group the records whose commands differ in nothing but the seed, ordered by seed."""
    groups: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda r: r["seed"]):
        groups.setdefault(setting(record["command"]), []).append(record)
    return sorted(groups.values(), key=lambda group: (group[0]["env"], group[0]["weights"]))


def setting(command: str) -> str:
    """Return a command without the flags that say which run of a setting it is."""
    words = shlex.split(command)
    dropped: set[int] = set()
    for place, word in enumerate(words):
        if word in ("--seed", "--num-actors", "--checkpoint-every", "--out"):
            dropped |= {place, place + 1}
    return shlex.join(word for place, word in enumerate(words) if place not in dropped)


def structure(record: Record) -> str:
    """Return what a record trained, with the preset that its command names."""
    words = shlex.split(record["command"])
    if "--preset" not in words:
        return str(record["structure"])
    return f"{record['structure']}, {words[words.index('--preset') + 1]}"


def returns_row(group: list[Record]) -> tuple[str, ...]:
    first = group[0]
    returns = [f"{r['return_mean']:,.1f} ± {r['return_std']:,.1f}" for r in group]
    steps = sorted({r["env_steps"] for r in group})
    seeds = ", ".join(str(r["seed"]) for r in group)
    return (
        first["env"],
        structure(first),
        ", ".join(str(size) for size in first["hidden"]) or "none (linear)",
        f"{first['weights']:,} of {first['dense_weights']:,}",
        f"{first['paper_compression']:.1%}",
        "; ".join(returns),
        "; ".join(f"{number:,}" for number in steps),
        f"one ({seeds})" if len(group) == 1 else f"{len(group)} ({seeds})",
    )


def speed_table(speed: Record | None) -> list[str]:
    """Return the measured speeds beside each other and the ratios between them."""
    if speed is None:
        return []
    rates = {name: median(value) for name, value in speed["steps_per_second"].items()}
    lines = [f"Speed: {speed['setting']}.", ""] if "setting" in speed else ["Speed:", ""]
    lines += table(
        ("measured side by side", "env steps per second"),
        [(name, f"{rate:,.0f}") for name, rate in rates.items()],
    )
    ratios = [
        f"{value:.2f} {name}" if name.startswith("of ") else f"{value:.1f} times {name}"
        for name, value in speed["ratios"].items()
    ]
    sentence = f"The search reaches {', '.join(ratios)}."
    if "limits" in speed:
        limits = [f"{value:.1f} times {name}" for name, value in speed["limits"].items()]
        sentence += f" Bare mj_step, the limit, is {' and '.join(limits)}."
    if "controller_share" in speed:
        sentence += f" Controller and decoding take {speed['controller_share']:.1%} of the time."
    return [*lines, sentence, ""]


def import_sentence(imports: Record | None) -> list[str]:
    """Return what the import costs."""
    if imports is None:
        return []
    return [
        f"`import structured_layers` takes {imports['structured_layers_ms']:.0f} ms after "
        f"`import torch`, which takes {imports['torch_ms']:,.0f} ms.",
        "",
    ]


def median(value: float | list[float]) -> float:
    return statistics.median(value) if isinstance(value, list) else value


def details(records: dict[str, Record], speed: Record | None, imports: Record | None) -> list[str]:
    """Return a section for each record: where it comes from, and its pictures."""
    lines: list[str] = []
    for name, record in records.items():
        lines += [f"## {name}", "", *origin(record), *facts(record)]
        for picture, caption in PICTURES.items():
            lines += [f"![{caption} of {name}](assets/{name}_{picture})", ""]
    for title, record in (("Speed", speed), ("Import time", imports)):
        if record is not None:
            lines += [f"## {title}", "", *origin(record), *goals_section(record)]
    return lines


def origin(record: Record) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    changed = "" if record.get("clean", True) else ", with changes that were not committed"
    return [
        "```",
        record["command"],
        "```",
        "",
        f"Commit `{record['commit'][:12]}`{changed}; {record['machine']}; {versions}.",
        "",
    ]


def facts(record: Record) -> list[str]:
    size = (
        f"{record['weights']:,} weights, {record['biases']:,} biases, "
        f"{record['bits']['paper']:,} bits as the papers count them"
    )
    return [
        f"Seed {record['seed']}, {record['env_steps']:,} environment steps, "
        f"{record['training_seconds']:,.0f} s of training. {size}. Return over "
        f"{record['num_episodes']} fresh episodes: {record['return_mean']:,.1f} ± "
        f"{record['return_std']:,.1f}, from {record['return_min']:,.1f} to "
        f"{record['return_max']:,.1f}.",
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
