"""How options are written in the help of several commands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from structured_layers.errors import StructuredLayersError

from ..evotorch.workers import Workers

Count = Annotated[int, tyro.conf.arg(metavar="N")]
Number = Annotated[float, tyro.conf.arg(metavar="X")]
Preferred = tyro.conf.DisallowNone[bool | None]
"""A flag and its opposite, or None where neither is given."""
RunFolder = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]


def optional(metavar: str | None, default: str) -> Any:
    """Describe an option whose default depends on others, instead of showing None.

    Args:
        metavar: stands for the value; None for a flag, which has none.
        default: what happens without the option.
    """
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {default})")


EnvConfig = Annotated[str | None, optional("JSON", "none")]


def parse_env_config(text: str | None) -> dict[str, Any]:
    """Return the arguments of an environment that a JSON object on the command line names."""
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StructuredLayersError(
            f"--env-config must be a JSON object such as '{{\"reset_noise_scale\": 0.0}}', got "
            f"{text!r}: {error}"
        ) from error
    if not isinstance(value, dict):
        raise StructuredLayersError(f"--env-config must be a JSON object, got {text!r}")
    return value


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """Who simulates, and how failures are met; the same for a new run and one that goes on."""

    num_actors: Annotated[int | Literal["auto"], tyro.conf.arg(metavar="{N,auto}")] = 0
    """Processes that simulate; 0 stays in this one, auto is one for each core. Results do not
    depend on it."""
    ray_address: Annotated[str | None, optional("HOST:PORT", "none")] = None
    """A Ray cluster to run on; without it, and without RAY_ADDRESS, this machine."""
    chunk_timeout: Annotated[
        float | Literal["auto", "none"], tyro.conf.arg(metavar="{SECONDS,auto,none}")
    ] = "auto"
    """Time after which an actor is taken for hung and replaced; auto allows a minute and 0.05 s for
    each environment step of its candidates."""
    strict: bool = False
    """Whether a failed candidate, a lost actor or a warning of the physics ends the run."""

    def workers(self) -> Workers:
        """Return the options as keywords."""
        return {
            "num_actors": self.num_actors,
            "ray_address": self.ray_address,
            "chunk_timeout": None if self.chunk_timeout == "none" else self.chunk_timeout,
            "strict": self.strict,
        }
