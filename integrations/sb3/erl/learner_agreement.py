"""Whether learners can share one population, one environment and one replay buffer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.argument_values import is_number, shown
from structured_layers.layers import LatentLinear

from .learner_actor import actor_network

_EACH_ITS_OWN = {"gamma": "discounts", "seed": "seed", "policy": "policy", "env": "env"}
"""Arguments of a learner by the names that ``CERL.portfolio`` gives them."""


def checked_discounts(discounts: Iterable[float]) -> list[float]:
    """Return the discounts of a portfolio, each above 0 and at most 1."""
    if not isinstance(discounts, Iterable):
        raise StructuredLayersError(f"discounts must be a list of numbers, got {shown(discounts)}")
    given = list(discounts)
    for discount in given:
        if not is_number(discount) or not 0 < discount <= 1:
            raise StructuredLayersError(
                f"each of the discounts must be above 0 and at most 1, got {shown(discount)}"
            )
    return [float(discount) for discount in given]


def check_further(learner: Mapping[str, Any] | None) -> None:
    """Refuse arguments of all learners that each has its own of, or that are no mapping."""
    if learner is not None and not isinstance(learner, Mapping):
        raise StructuredLayersError(
            "learner must be a mapping of arguments by name, such as {'learning_starts': 1000}, "
            f"got {shown(learner)}"
        )
    for name in learner or {}:
        if name in _EACH_ITS_OWN:
            raise StructuredLayersError(
                f"learner= holds further arguments of the algorithm, not {name}; name it by "
                f"{_EACH_ITS_OWN[name]}="
            )


def check_several(models: Sequence[Any]) -> None:
    """Refuse what is no list of two or more models, each another one."""
    if not isinstance(models, Sequence):
        raise StructuredLayersError(
            f"CERL needs a list of at least two learners, got a {type(models).__name__}; take ERL "
            "for one"
        )
    if len(models) < 2:
        raise StructuredLayersError(
            f"CERL needs at least two learners, got {len(models)}; take ERL for one"
        )
    if len({id(model) for model in models}) < len(models):
        raise StructuredLayersError(
            "CERL needs learners of their own weights, got the same model twice; make one for each "
            "place in the list"
        )


def check_agreement(models: Sequence[Any]) -> None:
    """Refuse learners that differ in their spaces, or in more of their actors than trained values.

    Raises:
        StructuredLayersError: naming the first learner that differs, from 0, and in what.
    """
    first = models[0]
    for model in models[1:]:
        if (model.observation_space, model.action_space) != (
            first.observation_space,
            first.action_space,
        ):
            raise StructuredLayersError(
                "the learners of CERL need the same observations and actions, got "
                f"{model.observation_space} and {model.action_space} beside "
                f"{first.observation_space} and {first.action_space}"
            )
    forms = [_form(actor_network(model)) for model in models]
    for number, form in enumerate(forms):
        _check_alike(number, form, forms[0])


class _Form(NamedTuple):
    """All of a network but its trained values.

    Attributes:
        modules: each one's type and settings.
        shapes: of the trained values, by name.
        fixed: buffers by name: colors, masks, the tensors of decoders.
    """

    modules: list[str]
    shapes: dict[str, tuple[int, ...]]
    fixed: dict[str, Tensor]


def _form(network: nn.Sequential) -> _Form:
    return _Form(
        [_described(module) for module in network],
        {name: tuple(values.shape) for name, values in network.named_parameters()},
        dict(network.named_buffers()),
    )


def _described(module: nn.Module) -> str:
    """Name a module and its plain attributes: sizes, a slope, a family.

    Its ``repr`` would not do, which also counts what is trained, such as the edges of a soft mask.
    """
    settings = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, (bool, int, float, str))
        and not name.startswith("_")
        and name not in ("training", "color_seed")  # colors themselves are compared
    }
    if isinstance(module, LatentLinear):
        settings["decoder"] = str(module.decoder)
    values = ", ".join(f"{name}={value}" for name, value in settings.items())
    return f"{type(module).__name__}({values})"


def _check_alike(number: int, form: _Form, first: _Form) -> None:
    """Refuse an actor in which the first learner's values would not mean the same."""
    needed = "the learners of CERL need the same actors, since all are copied into one population;"
    if form.modules != first.modules or form.shapes != first.shapes:
        parts = zip_longest(form.modules, first.modules, fillvalue="no further module")
        found = next((pair for pair in parts if pair[0] != pair[1]), (form.shapes, first.shapes))
        raise StructuredLayersError(
            f"{needed} learner {number} has {found[0]} where learner 0 has {found[1]}; give all "
            "the same net_arch, activation_fn and structure"
        )
    for name, tensor in first.fixed.items():
        other = form.fixed[name]
        if tensor.shape != other.shape or not torch.equal(tensor, other):
            raise StructuredLayersError(
                f"{needed} {name} of learner {number} differs from learner 0's; give all the same "
                "decoder, and let them learn their colors or masks (learn_colors, learn_mask), "
                "which each model draws anew where they are fixed"
            )
