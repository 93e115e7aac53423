"""Trained models made compact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from ...errors import StructuredLayersError
from .conversion import convert_policy, resolved_structure
from .distillation import Distillation, distil_
from .embedded_decoders import with_embedded_decoders
from .model_copy import Model, copy_model, copy_policy, refresh_references_
from .observations import environment_of
from .policies import structured_policy
from .running_training import check_not_learning, is_learning
from .structure import parse_structure
from .structured import StructuredPolicy

DEFAULTS: dict[str, dict[str, Any]] = {
    "chromatic": {"num_colors": 17, "learn_colors": True},
    "masked": {"num_edges": 64, "learn_mask": True},
}
"""What :func:`compress` adds to keywords that do not say otherwise."""


def compress(
    model: Model,
    layer: str = "chromatic",
    *,
    target: str | Sequence[str] = "actor",
    distill: bool | Distillation = True,
    **keywords: Any,
) -> Model:
    """Return a compact copy of a trained model, which acts almost as the model does.

    The targets' linear layers are replaced by the nearest structured ones. Then the copy is
    distilled: in the model's environments it learns to answer as the old policy does, within
    seconds. It goes on with ``learn`` (``reset_num_timesteps=False`` keeps counters and schedules)
    and loads from its zip in any process that has this package.

    Counters, learning rates, entropy coefficient and replay buffer are copied, optimizers keep the
    state of parameters that stayed, target networks follow. The networks, buffers and counters of
    the model are not touched, after an error neither, nor is the global random state.

    Model and copy share environments and VecNormalize. Its statistics do not move here, but they do
    when the copy learns, and then the model sees its observations on another scale as well. To keep
    the model as good as it is, save it and its VecNormalize, and load them with new environments.

    Both start fresh episodes when they learn next. So a callback cannot distil the model that is
    learning; with ``distill=False``, which runs no environments, that model goes on unharmed, as
    long as the copy does not learn or act in its environments before it is done.

    Args:
        model: of any algorithm of Stable-Baselines3 or sb3-contrib.
        layer: the structure, see :func:`~structured_layers.convert_`.
        target: ``actor`` (what is deployed; the Q-network of DQN and QRDQN), ``critic``, ``all``, a
            regular expression that matches full dotted names, or a list of these.
        distill: True, False for the nearest structured policy alone, or the settings.
        **keywords: of the structure. ``chromatic`` has 17 learned colours and ``masked`` 64 learned
            edges by default.

    Raises:
        StructuredLayersError: if a target or layer does not exist, the structure does not fit, the
            model has no environment to distil in, or is learning while it is to be distilled.

    Examples:
        >>> from stable_baselines3 import PPO
        >>> model = PPO("MlpPolicy", "CartPole-v1", n_steps=64, batch_size=64).learn(64)
        >>> settings = Distillation(num_states=64, num_updates=10, num_rounds=1)
        >>> compact = compress(model, "chromatic", num_colors=5, distill=settings)
        >>> compact.policy.action_net
        ChromaticLinear(64 → 2, colors=5, learn_colors=True, bias=True)
    """
    check_model(model)
    settings = _settings(distill)
    structure = with_embedded_decoders(_structure(layer, target, keywords))
    parse_structure(structure)
    if settings is not None:
        environment_of(model)
        check_not_learning(model)
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        made = copy_model(model)
        report = convert_policy(made.policy, structure, init="project")
        if settings is not None:
            distil_(model, made.policy, report.names, settings)
    _adopt_(made, structure)
    if not is_learning(model):
        model._last_obs = None  # the environments belong to both from now on
    return made


def check_model(model: Any) -> None:
    """Refuse what is no model of an algorithm.

    Raises:
        StructuredLayersError: for a path, a policy and all else.
    """
    if not isinstance(model, BaseAlgorithm):
        what = repr(model) if isinstance(model, str) else f"a {type(model).__name__}"
        raise StructuredLayersError(
            "compressing needs a model of Stable-Baselines3, such as "
            f"PPO.load('model.zip', env=env), got {what}"
        )


def check_compression(model: Any, layer: str, *, target: Any = "actor", **keywords: Any) -> None:
    """Raise what :func:`compress` would raise about a structure, and change nothing."""
    structure = _structure(layer, target, keywords)
    convert_policy(copy_policy(model.policy), structure, init="project")


def _settings(distill: bool | Distillation) -> Distillation | None:
    if isinstance(distill, Distillation):
        return distill
    if not isinstance(distill, bool):
        raise StructuredLayersError(
            f"distill must be True, False or a Distillation, got {distill!r}"
        )
    return Distillation() if distill else None


def _structure(layer: str, target: Any, keywords: Mapping[str, Any]) -> dict[str, Any]:
    added = dict(DEFAULTS.get(layer, {})) if isinstance(layer, str) else {}
    if "palette" in keywords:
        added.pop("num_colors", None)
    if isinstance(target, tuple):
        target = list(target)
    return {"layer": layer, "target": target, **added, **keywords}


@torch.no_grad()
def _adopt_(model: Any, structure: dict[str, Any]) -> None:
    """Make a model one of a structured policy, so that its zip loads as such."""
    policy = model.policy
    present = getattr(policy, "structure", None)
    entries = [*_entries(present), structure]
    whole = resolved_structure(policy, entries if len(entries) > 1 else structure)
    if not isinstance(policy, StructuredPolicy):
        given = {key: value for key, value in model.policy_kwargs.items() if key != "structure"}
        policy._keywords = given  # for policies that do not list them all
    policy.__class__ = structured_policy(type(policy), type(model))
    policy.structure = whole
    model.policy_class = type(policy)
    model.policy_kwargs = {**model.policy_kwargs, "structure": whole}
    refresh_references_(model)


def _entries(structure: Any) -> list[Any]:
    if structure is None:
        return []
    return list(structure) if isinstance(structure, (list, tuple)) else [structure]
