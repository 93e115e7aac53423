"""Teach a compressed policy what the old one did."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import StructuredLayersError
from .exploration import raise_exploration_
from .observations import collect_states, concatenate, evaluation_mode, num_states_of, select
from .policy_outputs import Outputs, States, actor_outputs, critic_outputs, is_recurrent
from .setting_checks import check_integer_, check_positive_
from .targets import critic_layers, deployed_layers, policy_networks, target_networks

WEIGHTS = {"log_stds": 0.1}
"""What parts count that matter less than the others: exploration decides on no return."""

CHUNK = 1024
BEHIND_MEMORY = ("mlp_extractor.", "action_net", "value_net")
ACTION_NOISE = 0.2  # of the actions at which critics are compared, scaled to [-1, 1]


@dataclass(frozen=True)
class Distillation:
    """How long and on what a compressed policy learns from the old one.

    Of a recurrent policy the layers behind the memory learn. Layers in front of it stay as they
    were projected; a compression of these alone cannot be distilled and is refused.

    Attributes:
        num_states: states of the first round, where the old policy acts; in each later round the
            compressed policy meets half as many more.
        num_rounds: how often states are collected and matched.
        num_updates: of Adam, in each round.
        batch_size: states of an update.
        learning_rate: at the start of a round; it falls to zero along a cosine.
        seed: of the batches and of the exploration.
    """

    num_states: int = 8192
    num_rounds: int = 3
    num_updates: int = 2000
    batch_size: int = 256
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("num_states", "num_rounds", "num_updates", "batch_size"):
            check_integer_(self, name, 1)
        check_positive_(self, "learning_rate")
        check_integer_(self, "seed", 0)


def distil_(
    model: Any, student: nn.Module, converted: Iterable[str], settings: Distillation
) -> float:
    """Match a compressed policy to the policy of a model, in place.

    The linear layers of the actor are trained. Those of the critic are too, if the compression
    reached them. A features extractor that both share stays, but for its converted layers. Of a
    recurrent policy the layers behind the memory are trained. Both policies compute as they do when
    they are deployed: dropout is off, batch norms keep their statistics. Target networks of what
    was trained become copies again.

    Args:
        model: whose policy is the teacher, and in whose environments both act.
        student: the compressed policy.
        converted: full dotted names of the layers that were replaced.
        settings: how long and on what.

    Returns:
        The squared error of the actor's outputs relative to their variance, on all states.

    Raises:
        StructuredLayersError: if all that was converted lies in front of a memory.
    """
    names = set(converted)
    _check_reach(student, names)
    with (
        torch.random.fork_rng(_gpus(student)),
        evaluation_mode(model.policy),
        evaluation_mode(student),
    ):
        torch.manual_seed(settings.seed)
        error = _match_policies_(model, student, names, settings)
    _sync_targets_(student, names)
    return error


def _match_policies_(model: Any, student: Any, names: set[str], settings: Distillation) -> float:
    of_actor = names - _critic_names(student)
    states = collect_states(model, model.policy, settings.num_states, seed=settings.seed)
    error = 0.0
    if of_actor:
        parameters = _parameters_of(student, _actor_names(student) | of_actor)
        error, states = _rounds(model, student, parameters, states, settings)
        raise_exploration_(student, model.policy, states)
    if _reaches_critic(student, names):
        _match_critic_(student, model.policy, states, settings)
    return error


def _check_reach(student: nn.Module, converted: set[str]) -> None:
    """Refuse what would change nothing: states are what a memory puts out, see _memory_outputs."""
    if is_recurrent(student) and not any(name.startswith(BEHIND_MEMORY) for name in converted):
        raise StructuredLayersError(
            f"the layers {', '.join(sorted(converted))} lie in front of the policy's memory, which "
            "distillation does not reach; give a target behind it, such as mlp_extractor.* or "
            "action_net, or distill=False"
        )


def _rounds(
    model: Any,
    student: Any,
    parameters: list[nn.Parameter],
    states: States,
    settings: Distillation,
) -> tuple[float, States]:
    """Match the actors, each round on more of the states that the compressed policy meets."""
    error = _match_actor_(student, model.policy, parameters, states, settings)
    for number in range(1, settings.num_rounds):
        more, seed = -(-settings.num_states // 2), settings.seed + number
        states = concatenate([states, collect_states(model, student, more, seed=seed)])
        error = _match_actor_(student, model.policy, parameters, states, settings)
    return error, states


def _match_actor_(
    student: Any,
    teacher: Any,
    parameters: list[nn.Parameter],
    states: States,
    settings: Distillation,
) -> float:
    def outputs(policy: Any, index: Tensor) -> Outputs:
        return actor_outputs(policy, select(states, index))

    wanted = _joined(lambda i: outputs(teacher, i), num_states_of(states), teacher.device)
    return _match_(parameters, lambda i: outputs(student, i), wanted, settings)


def _match_critic_(student: Any, teacher: Any, states: States, settings: Distillation) -> None:
    parameters = _parameters_of(student, _critic_names(student))
    actions = None
    if not hasattr(teacher, "mlp_extractor"):
        with torch.no_grad():
            actions = torch.cat([teacher._predict(s, deterministic=True) for s in _chunks(states)])
        actions = actions.flatten(1)
        actions = (actions + ACTION_NOISE * torch.randn_like(actions)).clamp(-1, 1)

    def outputs(policy: Any, index: Tensor) -> Outputs:
        return critic_outputs(
            policy, select(states, index), None if actions is None else actions[index]
        )

    wanted = _joined(lambda i: outputs(teacher, i), num_states_of(states), teacher.device)
    _match_(parameters, lambda i: outputs(student, i), wanted, settings)


def _match_(
    parameters: list[nn.Parameter],
    outputs: Callable[[Tensor], Outputs],
    wanted: Outputs,
    settings: Distillation,
) -> float:
    """Train parameters until the outputs are near the wanted ones, and return the error left."""
    sizes = {name: _size(part) for name, part in wanted.items()}
    count = len(next(iter(wanted.values())))
    device = next(iter(wanted.values())).device
    optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate)
    for step in range(settings.num_updates):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _cosine(step / settings.num_updates)
        index = torch.randint(count, (settings.batch_size,), device=device)
        found = outputs(index)
        loss = sum(
            WEIGHTS.get(name, 1.0) * (part - wanted[name][index]).square().mean() / sizes[name]
            for name, part in found.items()
        )
        optimizer.zero_grad()
        loss.backward(inputs=parameters)  # type: ignore[union-attr]
        optimizer.step()
    optimizer.zero_grad()
    left = _joined(outputs, count, device)
    first = next(iter(wanted))
    return float((left[first] - wanted[first]).square().mean() / sizes[first])


def _cosine(done: float) -> float:
    return (1 + math.cos(math.pi * done)) / 2


def _size(part: Tensor) -> float:
    """Return the mean variance of outputs, 1 if they are all the same."""
    variance = float(part.var(dim=0, correction=0).mean())
    return variance if variance > 0 else 1.0


@torch.no_grad()
def _joined(outputs: Callable[[Tensor], Outputs], count: int, device: torch.device) -> Outputs:
    parts = [outputs(index) for index in _indices(count, device)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _chunks(states: States) -> list[States]:
    count, device = num_states_of(states), torch.device("cpu")
    return [select(states, index) for index in _indices(count, device)]


def _indices(count: int, device: torch.device) -> list[Tensor]:
    starts = range(0, count, CHUNK)
    return [torch.arange(i, min(i + CHUNK, count), device=device) for i in starts]


def _actor_names(policy: nn.Module) -> set[str]:
    """Return the actor's own linear layers; a plain one that the critic shares is left out."""
    own = {name for network in policy_networks(policy)["actor"] for name in network}
    deployed = deployed_layers(policy)
    return own | {name for name, layer in deployed.items() if type(layer) is not nn.Linear}


def _critic_names(policy: nn.Module) -> set[str]:
    return set(critic_layers(policy)) - set(deployed_layers(policy))


def _reaches_critic(policy: nn.Module, converted: set[str]) -> bool:
    shared = converted - _actor_names(policy)
    return bool(_critic_names(policy)) and bool(shared | (converted & _critic_names(policy)))


def _parameters_of(policy: nn.Module, names: Iterable[str]) -> list[nn.Parameter]:
    """Return the trained parameters of layers, shared ones once."""
    found: dict[int, nn.Parameter] = {}
    for name in sorted(names):
        parameters = policy.get_submodule(name).parameters()
        found |= {id(p): p for p in parameters if p.requires_grad}
    return list(found.values())


@torch.no_grad()
def _sync_targets_(policy: nn.Module, converted: set[str]) -> None:
    """Copy what was trained to target networks; others keep their averages."""
    layers = {id(policy.get_submodule(name)) for name in converted}
    for online, target in target_networks(policy):
        if any(id(module) in layers for module in online.modules()):
            target.load_state_dict(online.state_dict())


def _gpus(policy: nn.Module) -> list[int]:
    return sorted({p.device.index for p in policy.parameters() if p.device.type == "cuda"})
