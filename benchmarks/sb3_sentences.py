"""What the tables of the Stable-Baselines3 records say, in sentences made from their numbers."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from sb3_records import Record, color_rows, dense_returns, grouped, last_of, mean_return
from sb3_tables import difference, percent, returns, steps_ratio

GOALS = {17: 0.97, 5: 0.95, 3: 0.90, 2: 0.75}  # colors, share of the dense return
LEAST_RETURN = 5_500  # of the policy with 17 colors
PUBLISHED = "4,894 ± 110"  # ES-ENAS, table 3: H32, 17 weights, regularized evolution, 3 seeds
FROM_SCRATCH = ("chromatic, 4 colors, learned", "64, 64")
SCRATCH_GOAL, STEPS_GOAL = 0.95, 2.0


def model_sentences(sweep: Record | None) -> list[str]:
    """Say what the dense model is."""
    if sweep is None:
        return ["No sweep is recorded yet.", ""]
    model = sweep["model"]
    return [
        f"{model['algo'].upper()} on {model['env']}, seed {model['seed']}: "
        f"{model['env_steps']:,} steps in {model['training_seconds'] / 60:,.0f} minutes "
        f"({model['machine']}). Return over {model['num_episodes']} fresh episodes: "
        f"{model['return_mean']:,.0f} ± {model['return_std']:,.0f}. The deployed actor has "
        f"{model['weights']:,} weights and {model['biases']:,} biases.",
        "",
    ]


def sweep_sentences(sweep: Record | None) -> list[str]:
    """Say how the rows of a sweep were made."""
    if sweep is None:
        return ["No sweep is recorded yet.", ""]
    settings = sweep["settings"]
    episodes = settings["num_episodes"]
    return [
        f"Each row is one seed with {settings['fine_tune_steps']:,} steps of fine-tuning, "
        f"{settings['fine_tune_steps'] / sweep['model']['env_steps']:.0%} of those of the model. "
        f"Returns are mean ± standard deviation over {episodes} episodes; the standard error of a "
        f"mean is the deviation divided by {episodes**0.5:.1f}.",
        "",
    ]


def goal_sentences(sweep: Record | None) -> list[str]:
    """Say which shares of the dense return were the goals, and what was reached."""
    rows, verdicts, tuned = color_rows(sweep), [], []
    if sweep is None or not rows:
        return []
    dense = dense_returns(sweep)
    for colors, goal in GOALS.items():
        if colors in rows:
            mean = last_of(rows[colors])["mean"]
            share = mean / dense["before"]
            verdicts.append(
                f"{colors} colors {share:.1%} (goal {goal:.0%}, {reached(share >= goal)})"
            )
            tuned.append(f"{colors} colors {mean / dense['after']:.1%}")
    return [
        f"Share of the dense model's return of {dense['before']:,.0f}: "
        f"{'; '.join(verdicts)}. The dense model gains from the additional steps too: it has "
        f"{dense['after']:,.0f} after them. Of that, {'; '.join(tuned)}.",
        "",
    ]


def rate_sentences(sweep: Record | None) -> list[str]:
    """Say from which learning rate the fine-tuning of another sweep started."""
    if sweep is None:
        return ["No other rate is recorded yet.", ""]
    origin, settings = sweep["origin"], sweep["settings"]
    return [
        f"Fine-tuned from a learning rate of {settings['learning_rate']:g} instead (commit "
        f"`{origin['commit'][:12]}`):",
        "",
    ]


def gain_sentences(sweep: Record | None, fixed: Record | None) -> list[str]:
    """Say what each step of the compression wins back in the mean over the colors."""
    rows = color_rows(sweep)
    if sweep is None or not rows:
        return []
    dense = dense_returns(sweep)["before"]
    parts = []
    for key, words in (
        ("projected", "the nearest weights keep"),
        ("distilled", "after distillation it is"),
        ("tuned", "after fine-tuning"),
    ):
        if all(row[key] for row in rows.values()):
            share = statistics.mean(row[key]["mean"] for row in rows.values()) / dense
            parts.append(f"{words} {percent(share, 0)}")
    lines = [f"In the mean over these rows {', '.join(parts)} of the dense return."]
    both = {
        n: (last_of(row), last_of(rows[n])) for n, row in color_rows(fixed).items() if n in rows
    }
    if both:
        listed = "; ".join(
            f"{n} colors {returns(learned)} learned, {returns(not_learned)} fixed"
            for n, (not_learned, learned) in both.items()
        )
        lines.append(f"What learning the colors changes, all else the same: {listed}.")
    return [*lines, ""]


def paper_sentences(sweep: Record | None) -> list[str]:
    """Set the row of 17 colors beside the best published policy with 17 weights."""
    row = color_rows(sweep).get(17)
    if row is None:
        return []
    enough = reached(last_of(row)["mean"] >= LEAST_RETURN)
    return [
        f"17 colors reach {returns(last_of(row))} here (goal {LEAST_RETURN:,}, {enough}). "
        f"The best policy with 17 weights in the papers has {PUBLISHED}, mean and standard "
        "deviation over three seeds (ES-ENAS, one hidden layer of 32).",
        "",
    ]


def scratch_sentences(records: list[Record]) -> list[str]:
    """Say what 4 colors that were learned from the start reach."""
    groups = grouped(records, "halfcheetah")
    ours, dense = groups.get(FROM_SCRATCH), groups.get(("dense", FROM_SCRATCH[1]))
    if not ours or not dense:
        return []
    share = mean_return(ours) / mean_return(dense)
    seeds = " and ".join(dict.fromkeys(str(len(group)) for group in (ours, dense)))
    return [
        f"Trained from scratch by {ours[0]['algo'].upper()} on {ours[0]['env']} for "
        f"{ours[0]['env_steps']:,} steps with 4 learned colors, {ours[0]['weights']} weights, the "
        f"actor reaches {mean_return(ours):,.0f}, the dense one {mean_return(dense):,.0f} "
        f"(means over {seeds} seeds): {share:.1%} "
        f"(goal {SCRATCH_GOAL:.0%}, {reached(share >= SCRATCH_GOAL)}).",
        "",
    ]


def cartpole_sentences(records: list[Record]) -> list[str]:
    """Say in how many times the steps of dense each structure solves CartPole."""
    groups = grouped(records, "cartpole")
    parts = []
    for (label, arch), group in groups.items():
        dense = groups.get(("dense", arch), [])
        if label != "dense" and dense:
            ratio = steps_ratio(group, dense)
            kept = ratio is not None and ratio <= STEPS_GOAL
            times = "not solved by every seed" if ratio is None else f"{ratio:.2f}"
            parts.append(f"{label} {times} ({reached(kept)})")
    if not parts:
        return []
    return [
        f"Steps to a mean of 475, relative to dense (goal: at most {STEPS_GOAL:.0f}): "
        f"{'; '.join(parts)}.",
        "",
    ]


def difference_sentences(records: list[Record], task: str) -> list[str]:
    """Say which structures are behind dense by more than one standard error."""
    groups, behind, compared = grouped(records, task), [], 0
    for (label, arch), group in groups.items():
        if label == "dense" or ("dense", arch) not in groups:
            continue
        mean, error = difference(group, groups["dense", arch])
        if error is not None:
            compared += 1
            behind += [label] * (mean < -error)
    if not compared:
        return []
    found = "; ".join(behind) or "none"
    return [f"Behind dense by more than one standard error of the difference: {found}.", ""]


def overhead_sentences(record: Record | None) -> list[str]:
    """Say where the allowed overhead is kept and where not."""
    if record is None:
        return []
    allowed = record["allowed_overhead"]
    found = [
        (f"{algorithm} {kind} {result['overhead']:+.1%}", result["overhead"] <= allowed)
        for algorithm, results in record["algorithms"].items()
        for kind, result in results.items()
        if kind != "dense"
    ]
    return [
        f"Measured: {record['setting']}; {record['machine']}. The goal is at most {allowed:.0%}. "
        f"Kept: {listed(name for name, kept in found if kept)}. "
        f"{'Not kept' if all(kept for _, kept in found) else '**Not kept**'}: "
        f"{listed(name for name, kept in found if not kept)}.",
        "",
    ]


def listed(words: Iterable[str]) -> str:
    return "; ".join(words) or "none"


def reached(yes: bool) -> str:
    return "reached" if yes else "**not reached**"
