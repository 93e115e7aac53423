"""What a run leaves for use: ``policy/``, and ``pareto.csv`` where its structures have a cost."""

from __future__ import annotations

from pathlib import Path

from structured_layers.algorithms import ParetoArchive
from structured_layers.files import write_bytes

from .best_center import BestCenter
from .run_parts import Parts

PARETO = "pareto.csv"


def write_results(folder: Path, parts: Parts, best: BestCenter) -> None:
    """Write the policy of the best centre, if there is one, and the Pareto archive."""
    archive = getattr(parts.search, "archive", None)
    if archive is not None:
        _write_pareto(folder / PARETO, archive)
    if best.solution is not None:
        policy = parts.problem.to_policy(best.solution, normalizer=best.normalizer, spec=parts.spec)
        policy.save(folder / "policy")


def _write_pareto(path: Path, archive: ParetoArchive) -> None:
    """Write an archive in order of its costs: when, what the search saw, what it costs."""
    lines = [f"generation,return,{archive.name}"]
    rows = zip(
        archive.generations.tolist(), archive.returns.tolist(), archive.costs.tolist(), strict=True
    )
    lines += [f"{generation},{value},{cost:.12g}" for generation, value, cost in rows]
    write_bytes(path, ("\n".join(lines) + "\n").encode())
