"""What a run came to: the size and return of its policy, and pictures of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from structured_layers import metrics
from structured_layers.errors import CheckpointError
from structured_layers.plots.network_graph import count_edges
from structured_layers.policy import Policy, load_policy

from .evaluation import evaluate_policy
from .progress import ProgressFile
from .run_files import read_run_config

NUM_EPISODES = 20


@dataclass(frozen=True)
class Summary:
    """A run's policy in numbers.

    Attributes:
        env: where it was trained.
        structure: how its weights are saved.
        size: what it weighs.
        num_edges: edges that exist.
        return_mean: mean return over fresh episodes, alive bonus included.
        return_std: standard deviation over those episodes.
        num_episodes: how many they were.
        env_steps: environment steps of the training.
        seconds: training time across resumes.
        pictures: the files that were drawn.
    """

    env: str
    structure: str
    size: metrics.Summary
    num_edges: int
    return_mean: float
    return_std: float
    num_episodes: int
    env_steps: int
    seconds: float
    pictures: tuple[Path, ...] = ()

    @property
    def weights(self) -> str:
        """How many weights there are, and of how many edges."""
        return weights_in_words(self.size, self.num_edges)


def weights_in_words(size: metrics.Summary, num_edges: int) -> str:
    """Return how many weights a network has, and for how many of its possible edges."""
    some = "" if num_edges in (size.weights, size.dense_weights) else f" on {num_edges}"
    return f"{size.weights}{some} of {size.dense_weights} edges"


def summarize_run(folder: Path, pictures: tuple[Path, ...] = ()) -> Summary:
    """Evaluate a run's policy over fresh episodes and count its size.

    Raises:
        CheckpointError: not a run, or one without a finished generation.
    """
    config = read_run_config(folder)
    last = _rows(folder)[-1]
    policy = load_policy(folder)
    returns = evaluate_policy(policy, num_episodes=NUM_EPISODES)
    return Summary(
        env=config.env,
        structure=config.structure,
        size=metrics.summarize(policy.network),
        num_edges=count_edges(policy.network),
        return_mean=float(returns.mean()),
        return_std=float(returns.std()),
        num_episodes=len(returns),
        env_steps=int(last["env_steps"]),
        seconds=float(last["seconds"]),
        pictures=pictures,
    )


def write_report(folder: Path) -> Summary:
    """Draw ``report/learning_curve.png`` and ``report/weights.png`` and summarise the run.

    Raises:
        CheckpointError: not a run, or one without a finished generation.
        MissingDependencyError: matplotlib is not installed.
    """
    from structured_layers.plots import plot_learning_curve, plot_weights

    rows, policy = _rows(folder), load_policy(folder)
    report = folder / "report"
    report.mkdir(exist_ok=True)
    curve = plot_learning_curve(rows, report / "learning_curve.png", title=_title(policy))
    weights = plot_weights(policy.network, report / "weights.png", title=_title(policy))
    return summarize_run(folder, (curve, weights))


def _rows(folder: Path) -> list[dict[str, str]]:
    read_run_config(folder)
    rows = ProgressFile(folder / "progress.csv").read()
    if not rows:
        raise CheckpointError(f"{folder} has no finished generation yet; train or resume it first")
    return rows


def _title(policy: Policy) -> str:
    return f"{policy.env}: {metrics.summarize(policy.network).weights} weights"
