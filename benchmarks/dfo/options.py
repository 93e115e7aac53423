"""The command line of the suite: what each action takes, and into which folder it writes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS, ROOT

from .methods import METHODS
from .objective import SIMPLEX_GRADIENTS
from .runner import COLLECTIONS
from .settings import SETTINGS

ASSETS = ROOT / "docs" / "assets"
SIZES = ("problems", "settings", "methods", "seeds", "budget")
TAKEN = {
    "run": (*SIZES, "processes", "cache", "out", "pictures"),
    "tune": ("seeds", "budget", "processes", "cache", "out"),
    "pictures": ("out", "pictures"),
    "page": ("out", "check"),
}
DEFAULTS: dict[str, Any] = {
    "problems": list(COLLECTIONS["more-wild"]),
    "settings": list(SETTINGS),
    "methods": list(METHODS),
    "seeds": 10,
    "budget": SIMPLEX_GRADIENTS,
    "processes": os.cpu_count() or 1,
    "cache": ROOT / "runs" / "dfo",
    "out": None,
    "pictures": None,
    "check": False,
}
TUNE_SEEDS = 3


def parse(args: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; an action that does not take an option refuses it."""
    parser = make_parser()
    given = vars(parser.parse_args(args))
    action = given.pop("action")
    taken = TAKEN[action]
    for name in given:
        if name not in taken:
            parser.error(f"{action} takes no --{name}, only {_flags(taken)}")
    options = argparse.Namespace(action=action, **defaults(action) | given)
    check(parser, options)
    return options


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; an option that is not given leaves no trace."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dfo",
        description="run the suite, tune, or draw and write what was recorded",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("action", nargs="?", choices=tuple(TAKEN), default="run")
    for name in ("problems", "settings", "methods"):
        parser.add_argument(f"--{name}", nargs="+", choices=DEFAULTS[name], metavar="NAME")
    parser.add_argument("--seeds", type=int, help=f"{DEFAULTS['seeds']}; tune takes {TUNE_SEEDS}")
    parser.add_argument("--budget", type=int, help=f"times n + 1, {SIMPLEX_GRADIENTS}")
    parser.add_argument("--processes", type=int, help="0 runs in this one; one for each core")
    parser.add_argument("--cache", type=Path, help="folder of what was run, runs/dfo")
    parser.add_argument("--out", type=Path, help="folder of the record")
    parser.add_argument("--pictures", type=Path, help="folder of the pictures")
    parser.add_argument("--check", action="store_true", help="page: change nothing, fail if old")
    return parser


def defaults(action: str) -> dict[str, Any]:
    """Return the options of an action where none are given."""
    found = {name: DEFAULTS[name] for name in TAKEN[action]}
    return found | {"seeds": TUNE_SEEDS} if action == "tune" else found


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with a message where the options make no sense together."""
    if options.action in ("run", "tune") and (
        options.seeds < 1 or options.budget < 1 or options.processes < 0
    ):
        parser.error("--seeds and --budget must be at least 1, --processes at least 0")
    if options.action != "run":
        return
    for name in ("problems", "settings", "methods"):
        names = getattr(options, name)
        repeated = sorted({one for one in names if names.count(one) > 1})
        if repeated:
            parser.error(f"--{name} names {', '.join(repeated)} more than once")
    if len(options.methods) < 3:
        parser.error("Friedman's test compares at least 3 --methods")
    if len(options.problems) * len(options.settings) < 2:
        parser.error("ranking needs at least 2 cases: more --problems or --settings")


def is_whole(options: argparse.Namespace) -> bool:
    """Say whether nothing is left out: what the documentation reports, number for number."""
    usual = defaults(options.action)
    return all(getattr(options, name) == usual[name] for name in SIZES if name in usual)


def record_folder(options: argparse.Namespace) -> Path:
    """Return where the record lies; a part of the suite must not replace that of the whole."""
    if options.out is not None:
        return Path(options.out)
    return RESULTS if is_whole(options) else Path(options.cache) / "part"


def pictures_folder(options: argparse.Namespace) -> Path:
    """Return where the pictures go: into the documentation, or beside a record of one's own."""
    if options.pictures is not None:
        return Path(options.pictures)
    record = record_folder(options)
    return ASSETS if record.resolve() == RESULTS else record


def _flags(names: Sequence[str]) -> str:
    return ", ".join(f"--{name}" for name in names)
