"""The training of weight autoencoders on the outputs of the networks that they encode."""

from __future__ import annotations

import copy
import csv
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from structured_layers.files import write_bytes

from ..argument_checks import check_integer, check_positive, check_range
from .output_distance import decode_layers, encode_layers, output_distance
from .weight_autoencoder import WeightAutoencoder

Autoencoders = Mapping[str, WeightAutoencoder]
Parameters = Mapping[str, Tensor]


@dataclass(frozen=True)
class TrainingSettings:
    """How autoencoders are trained.

    Args:
        steps: at most.
        batch_size: networks of a step.
        num_states: states of a step, the same for all its networks.
        random_states: share of them that is not visited but drawn from N(0, 1) in each normalised
            coordinate.
        learning_rate: of Adam; it falls to zero along half a cosine.
        weight_loss: weight of the squared distance of the weights, in units of their spread.
        weight_noise: standard deviation of noise on the weights that are encoded, in units of the
            spread of the weights; the target stays the network without noise.
        mixing: share of the networks of a step that are mixed with another one, layer by layer.
        output_limit: of the actions; outputs beyond it count less. None compares outputs as they
            are.
        evaluate_every: steps between looks at the validation networks.
        patience: looks without an improvement after which the training ends.
    """

    steps: int = 3_000
    batch_size: int = 32
    num_states: int = 128
    random_states: float = 0.1
    learning_rate: float = 2e-3
    weight_loss: float = 0.01
    weight_noise: float = 0.0
    mixing: float = 0.0
    output_limit: float | None = None
    evaluate_every: int = 50
    patience: int = 15

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("steps", "batch_size", "num_states", "evaluate_every", "patience"):
            check_integer(name, getattr(self, name), 1)
        for name in ("random_states", "mixing"):
            check_range(name, getattr(self, name), 1.0)
        for name in ("weight_loss", "weight_noise"):
            check_range(name, getattr(self, name))
        check_positive("learning_rate", self.learning_rate)
        if self.output_limit is not None:
            check_positive("output_limit", self.output_limit)


class Look(NamedTuple):
    """One look at the losses: mean squared L2 distances of the outputs.

    Attributes:
        step: number of steps so far.
        train: on the training networks.
        validation: on the validation networks.
    """

    step: int
    train: float
    validation: float


@dataclass
class History:
    """The looks of a training, and the step whose autoencoders were kept."""

    looks: list[Look] = field(default_factory=list)
    best_step: int = 0

    def save(self, path: str | Path) -> None:
        """Write the curves as CSV with the columns ``step``, ``train`` and ``validation``."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Look._fields)
        writer.writerows(self.looks)
        write_bytes(Path(path), text.getvalue().encode())


@dataclass(frozen=True)
class Networks:
    """Some networks of one form, and states.

    Attributes:
        form: what the parameters are of.
        parameters: (N, ...) each.
        states: (S, in), normalised.
    """

    form: nn.Sequential
    parameters: dict[str, Tensor]
    states: Tensor

    def __len__(self) -> int:
        """Return N."""
        return len(next(iter(self.parameters.values())))


def train_autoencoders_(
    autoencoders: Autoencoders,
    networks: Networks,
    validation: Networks,
    generator: torch.Generator,
    settings: TrainingSettings | None = None,
    callback: Callable[[Look], None] | None = None,
) -> History:
    """Train autoencoders in place, all at once, and keep those that do best on validation.

    Args:
        autoencoders: by name of their layer; the other layers stay what they are in each network.
        networks: what they learn from.
        validation: what decides when they stop.
        generator: of all draws.
        settings: None takes the defaults.
        callback: called with every look, for instance to show the progress.
    """
    settings = settings or TrainingSettings()
    parameters = [p for coder in autoencoders.values() for p in coder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    fixed = _draw_states(networks.states, 4 * settings.num_states, settings, generator)
    kept = _Kept(autoencoders)
    for step in range(settings.steps + 1):
        if step % settings.evaluate_every == 0 or step == settings.steps:
            losses = [
                _mean_distance(autoencoders, part, fixed, settings)
                for part in (networks, validation)
            ]
            kept.look(Look(step, *losses))
            if callback is not None:
                callback(kept.history.looks[-1])
        if step == settings.steps or kept.waited >= settings.patience:
            break
        optimizer.zero_grad()
        _loss(autoencoders, networks, settings, generator).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    kept.restore()
    return kept.history


class _Kept:
    """The autoencoders that did best on validation so far, and the looks that say so."""

    def __init__(self, autoencoders: Autoencoders) -> None:
        self._autoencoders = autoencoders
        self._smallest = math.inf
        self._states: dict[str, dict[str, Tensor]] = {}
        self.history = History()
        self.waited = 0

    def look(self, look: Look) -> None:
        """Keep the autoencoders as they are if none were better."""
        self.history.looks.append(look)
        self.waited += 1
        if not self._states or look.validation < self._smallest:
            self._smallest, self.waited, self.history.best_step = look.validation, 0, look.step
            coders = self._autoencoders.items()
            self._states = {name: copy.deepcopy(coder.state_dict()) for name, coder in coders}

    def restore(self) -> None:
        """Put the kept values back."""
        for name, coder in self._autoencoders.items():
            coder.load_state_dict(self._states[name])
            coder.zero_grad()


def _loss(
    autoencoders: Autoencoders,
    networks: Networks,
    settings: TrainingSettings,
    generator: torch.Generator,
) -> Tensor:
    """Return the loss of one batch of networks and states."""
    parameters = _draw_networks(networks, settings, generator)
    states = _draw_states(networks.states, settings.num_states, settings, generator)
    noisy = dict(parameters)
    for name, coder in autoencoders.items():
        weight = parameters[f"{name}.weight"]
        noise = torch.randn(weight.shape, generator=generator) * coder.weight_scale
        noisy[f"{name}.weight"] = weight + settings.weight_noise * noise
    decoded = decode_layers(autoencoders, encode_layers(autoencoders, noisy), parameters)
    loss = output_distance(networks.form, decoded, parameters, states, settings.output_limit).mean()
    for name, coder in autoencoders.items():
        difference = decoded[f"{name}.weight"] - parameters[f"{name}.weight"]
        loss = loss + settings.weight_loss * (difference / coder.weight_scale).square().mean()
    return loss


def _draw_networks(
    networks: Networks, settings: TrainingSettings, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return the parameters of a batch, some of them mixed with those of another network."""
    size = min(settings.batch_size, len(networks))
    rows = torch.randperm(len(networks), generator=generator)[:size]
    if settings.mixing == 0:
        return {name: value[rows] for name, value in networks.parameters.items()}
    others = torch.randint(len(networks), (size,), generator=generator)
    share = torch.rand(size, generator=generator)
    share[torch.rand(size, generator=generator) >= settings.mixing] = 0
    mixed = {}
    for name, value in networks.parameters.items():
        own = share.view(-1, *[1] * (value.ndim - 1))
        mixed[name] = (1 - own) * value[rows] + own * value[others]
    return mixed


def _draw_states(
    visited: Tensor, count: int, settings: TrainingSettings, generator: torch.Generator
) -> Tensor:
    """Return visited states and, behind them, the share of random ones, (count, in)."""
    num_random = round(settings.random_states * count)
    rows = torch.randint(len(visited), (count - num_random,), generator=generator)
    drawn = torch.randn(num_random, visited.shape[1], generator=generator)
    return torch.cat([visited[rows], drawn])


@torch.no_grad()
def _mean_distance(
    autoencoders: Autoencoders, networks: Networks, states: Tensor, settings: TrainingSettings
) -> float:
    codes = encode_layers(autoencoders, networks.parameters)
    decoded = decode_layers(autoencoders, codes, networks.parameters)
    distance = output_distance(
        networks.form, decoded, networks.parameters, states, settings.output_limit
    )
    return float(distance.mean())
