"""One trained policy under every structure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from torch import nn

from ...errors import StructuredLayersError
from ...metrics import Summary, summarize
from ...plots.figure import new_figure
from .compression import check_compression, check_model, compress
from .distillation import Distillation
from .evaluation import evaluate
from .fine_tuning import fine_tune_, own_random_state
from .learning_checks import check_can_learn
from .model_copy import copy_model
from .normalizer_state import kept_normalizer
from .observations import environment_of
from .running_training import check_not_learning
from .setting_checks import check_integer_, check_positive_, check_truth_
from .structure import parse_structure
from .sweep_origin import origin_of
from .sweep_results import Returns, Sweep, SweepRow, read_sweep
from .sweep_structures import default_structures, row_name
from .targets import deployed_layers


@dataclass(frozen=True)
class SweepSettings:
    """What all rows of a sweep have in common.

    Attributes:
        fine_tune_steps: environment steps of training after distillation, 0 for none; the dense row
            gets as many.
        learning_rate: where the learning rate of these steps starts, on its line to zero; None
            keeps the model's own schedule.
        num_episodes: of every evaluation; all rows play the same episodes.
        projection: whether to evaluate the nearest structured policy too, before distillation.
        distillation: its settings.
        seed: of the whole row.
    """

    fine_tune_steps: int = 100_000
    learning_rate: float | None = None
    num_episodes: int = 20
    projection: bool = False
    distillation: Distillation = Distillation()
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name, least in (("fine_tune_steps", 0), ("num_episodes", 1), ("seed", 0)):
            check_integer_(self, name, least)
        if self.learning_rate is not None:
            check_positive_(self, "learning_rate")
        check_truth_(self, "projection")
        if not isinstance(self.distillation, Distillation):
            raise StructuredLayersError(
                f"distillation must be a Distillation, got {self.distillation!r}"
            )


def compress_sweep(
    model: Any,
    structures: Iterable[Mapping[str, Any]] | None = None,
    *,
    target: str | list[str] = "actor",
    out: str | Path | None = None,
    on_row: Callable[[SweepRow], None] | None = None,
    **settings: Any,
) -> Sweep:
    """Compress a model to several structures, train each for some steps more, and compare them.

    Every row starts from the model as it is, with its own copy of the statistics of a VecNormalize
    and with the same seeds, so rows do not depend on their order. The model is not touched; its
    next ``learn`` starts with fresh episodes, so no callback can sweep the model that is learning.

    Args:
        model: a trained model of any algorithm, with its environments.
        structures: what to compress to, dicts of ``layer`` and its keywords, and of a ``target`` of
            their own where it differs. By default the dense policy for reference, every other
            structure, and several sizes of those that have one.
        target: which layers, see :func:`~structured_layers.integrations.sb3.compress`.
        out: a folder for ``sweep.json``, ``sweep.csv``, ``return_against_bits.png`` and the models.
            Rows that it holds already are not run again.
        on_row: called with each row when it is there.
        **settings: of :class:`SweepSettings`.

    Returns:
        The rows; ``print`` shows them as a table.

    Raises:
        StructuredLayersError: if a structure does not exist or fit, the model cannot learn in its
            environments, or the folder holds another sweep: of another policy, environment or
            normalizer, or with other settings. All that is checked before the first row runs.
        MissingDependencyError: if there is a folder for the picture, but no matplotlib.
    """
    known = [field.name for field in fields(SweepSettings)]
    if unknown := settings.keys() - known:
        raise StructuredLayersError(
            f"a sweep takes {', '.join(known)}; got {', '.join(sorted(unknown))}"
        )
    common = SweepSettings(**settings)
    check_model(model)
    environment_of(model)
    check_not_learning(model)
    wanted = _dicts(structures or default_structures(model.policy, target))
    _check(model, wanted, target)
    if common.fine_tune_steps:
        check_can_learn(model)
    folder = None if out is None else Path(out)
    if folder is not None:
        new_figure(1, 1)  # a missing extra is said before the first row, not after the last
    sweep = _start(model, common, target, folder)
    done = {row.name for row in sweep.rows}
    for structure in wanted:
        if row_name(structure) not in done:
            place = None if folder is None else folder / row_name(structure)
            row = compress_row(model, structure, target, common, place)
            sweep = sweep.with_row(row)
            if folder is not None:
                sweep.write(folder)
            if on_row is not None:
                on_row(row)
    if folder is not None:
        sweep.plot(folder / "return_against_bits.png")
    return sweep


def _dicts(structures: Any) -> list[dict[str, Any]]:
    entries = list(structures) if isinstance(structures, Iterable) else [structures]
    if isinstance(structures, (str, Mapping)) or not all(isinstance(e, Mapping) for e in entries):
        raise StructuredLayersError(
            "structures must be a list of dicts such as [{'layer': 'toeplitz'}, {'layer': "
            f"'chromatic', 'num_colors': 5}}], got {structures!r}"
        )
    return [dict(entry) for entry in entries]


def _check(model: Any, structures: list[dict[str, Any]], target: Any) -> None:
    """Refuse impossible structures while nothing has run yet."""
    names = [row_name(structure) for structure in structures]
    if double := {name for name in names if names.count(name) > 1}:
        raise StructuredLayersError(f"the sweep has {', '.join(sorted(double))} more than once")
    for structure in structures:
        whole = {"target": target, **structure}
        parse_structure(whole)
        if structure["layer"] != "dense":
            check_compression(model, **whole)


def _start(model: Any, common: SweepSettings, target: Any, folder: Path | None) -> Sweep:
    """Return the sweep that a folder holds, or an empty one."""
    names = list(target) if isinstance(target, tuple) else target  # as JSON gives it back
    settings = {**asdict(common), "target": names, **origin_of(model)}
    if folder is None:
        return Sweep((), settings)
    if any(place.is_file() for place in (folder, *folder.parents)):
        raise StructuredLayersError(f"{folder} is no folder, but a file or below one")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "sweep.json").exists():
        return Sweep((), settings)
    found = read_sweep(folder)
    if found.settings != settings:
        changed = [k for k in settings if found.settings.get(k) != settings[k]]
        raise StructuredLayersError(
            f"{folder} holds a sweep with another {', '.join(changed)}; choose another folder"
        )
    return found


def compress_row(
    model: Any,
    structure: Mapping[str, Any],
    target: str | list[str] = "actor",
    settings: SweepSettings | None = None,
    folder: Path | None = None,
) -> SweepRow:
    """Compress a model to one structure, train it for some steps more, and evaluate it.

    Args:
        model: a trained model of any algorithm, with its environments; it is not touched.
        structure: ``layer`` and its keywords; ``dense`` leaves the policy as it is.
        target: which layers.
        settings: how long to train and evaluate; by default those of a sweep.
        folder: where ``model.zip`` and ``vecnormalize.pkl`` go.
    """
    common, began = settings or SweepSettings(), time.perf_counter()
    check_not_learning(model)
    if common.fine_tune_steps:
        check_can_learn(model)
    with own_random_state(common.seed), kept_normalizer(model):
        environment_of(model).seed(common.seed)
        projected = None
        if common.projection and structure["layer"] != "dense":
            nearest = compress(model, distill=False, **{"target": target, **structure})
            projected = _returns(nearest, common)
        made = _compressed(model, structure, target, common)
        distilled = _returns(made, common)
        tuned = None
        if common.fine_tune_steps:
            made.env.seed(common.seed)
            fine_tune_(made, common.fine_tune_steps, common.learning_rate)
            tuned = _returns(made, common)
        if folder is not None:
            _save(made, folder)
    model._last_obs = None  # the copy has left the environments somewhere else
    size = deployed_size(made.policy)
    return SweepRow(
        name=row_name(structure),
        structure=dict(structure),
        weights=size.weights,
        biases=size.biases,
        bits=size.bits,
        projected=projected,
        distilled=distilled,
        tuned=tuned,
        seconds=round(time.perf_counter() - began, 1),
    )


def deployed_size(policy: nn.Module) -> Summary:
    """Return the size of the linear layers that a deterministic action passes through."""
    return summarize(nn.ModuleList(deployed_layers(policy).values()))


def _compressed(
    model: Any, structure: Mapping[str, Any], target: Any, common: SweepSettings
) -> Any:
    if structure["layer"] == "dense":
        return copy_model(model)
    return compress(model, distill=common.distillation, **{"target": target, **structure})


def _returns(model: Any, common: SweepSettings) -> Returns:
    # Seeds far from those of training, which are small numbers by habit.
    returns = evaluate(model, common.num_episodes, seed=1_000_000 + common.seed)
    return Returns(float(returns.mean()), float(returns.std()))


def _save(model: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.zip")
    normalizer = model.get_vec_normalize_env()
    if normalizer is not None:
        normalizer.save(str(folder / "vecnormalize.pkl"))
