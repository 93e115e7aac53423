"""From a zoo of policies to an autoencoder of their networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from ..argument_checks import check_integer
from .alignment import align_all, find_reference
from .linear_codes import (
    LinearCode,
    output_metric,
    principal_components,
    random_projection,
)
from .network_autoencoder import NetworkAutoencoder
from .policy_zoo import PolicyZoo
from .training import History, Look, Networks, TrainingSettings, train_autoencoders_
from .weight_autoencoder import WeightAutoencoder

LinearMethod = Literal["weight_components", "output_components", "random"]
METRIC_STATES = 64


def fit_autoencoder(
    train: PolicyZoo,
    validation: PolicyZoo,
    latent_sizes: Mapping[str, int],
    generator: torch.Generator,
    *,
    hidden: Sequence[int] = (64,),
    aligned: bool = False,
    settings: TrainingSettings | None = None,
    callback: Callable[[Look], None] | None = None,
) -> tuple[NetworkAutoencoder, History]:
    """Train an autoencoder for each named layer, all at once.

    Both halves start as the principal components of the weights, in the metric of the outputs; what
    the hidden layers add to them is learned. At the end the codes of the training networks are
    whitened: each entry has mean 0 and standard deviation 1 over them.

    Args:
        train: policies to learn from.
        validation: policies that decide when to stop.
        latent_sizes: length of the code of each layer to encode, by the layer's name. One name
            trains that layer in isolation.
        generator: of all draws.
        hidden: sizes of the hidden layers of encoder and decoder; none makes both linear.
        aligned: whether hidden units are put into the order and signs of a reference first.
        settings: of the training.
        callback: called with every look at the losses.

    Raises:
        StructuredLayersError: zoos of different networks, or a layer that they do not have.

    Examples:
        >>> from structured_layers import mlp
        >>> draws = torch.Generator().manual_seed(0)
        >>> zoo = PolicyZoo.from_networks([mlp(3, [4], 2) for _ in range(9)], torch.randn(10, 3))
        >>> parts, settings = zoo.split(draws), TrainingSettings(steps=5)
        >>> coder, history = fit_autoencoder(
        ...     parts.train, parts.validation, {"0": 2}, draws, settings=settings
        ... )
        >>> coder.encode(parts.test.network(0))[0]
        LatentLinear(3 → 4, latent=2, bias=True)
    """
    if train.spec != validation.spec:
        raise StructuredLayersError(
            "the policies to learn from and those to validate on must have one shape"
        )
    networks, reference = _prepared(train, aligned)
    seen = networks.form, dict(validation.weights), networks.states
    if reference is not None:
        seen = networks.form, align_all(networks.form, seen[1], reference), networks.states
    coders = _begin_all(networks, latent_sizes, tuple(hidden), "output_components", generator)
    settings = settings or TrainingSettings()
    history = train_autoencoders_(coders, networks, Networks(*seen), generator, settings, callback)
    return _finished(train, coders, networks, reference), history


def fit_linear_autoencoder(
    train: PolicyZoo,
    latent_sizes: Mapping[str, int],
    generator: torch.Generator,
    *,
    method: LinearMethod = "weight_components",
    aligned: bool = False,
) -> NetworkAutoencoder:
    """Return linear codes that need no training, to compare with.

    Args:
        train: policies whose weights the codes are made from.
        latent_sizes: length of the code of each layer to encode, by the layer's name.
        generator: of all draws.
        method: ``weight_components`` is PCA of the weights; ``output_components`` PCA in the metric
            of the outputs, where autoencoders start; ``random`` projects on a random subspace
            through the mean.
        aligned: as in :func:`fit_autoencoder`.

    Raises:
        StructuredLayersError: a layer that the policies do not have, or an unknown method.
    """
    networks, reference = _prepared(train, aligned)
    coders = _begin_all(networks, latent_sizes, (), method, generator)
    return _finished(train, coders, networks, reference)


def _prepared(zoo: PolicyZoo, aligned: bool) -> tuple[Networks, dict[str, Tensor] | None]:
    """Return the networks, aligned if asked for, and to what."""
    form, states = zoo.network(0), zoo.normalized_states()
    if not aligned:
        return Networks(form, dict(zoo.weights), states), None
    best = int(zoo.returns.nan_to_num(-torch.inf).argmax())  # the first where none is known
    reference = find_reference(form, zoo.weights, first=best)
    return Networks(form, align_all(form, zoo.weights, reference), states), reference


def _finished(
    zoo: PolicyZoo,
    coders: dict[str, WeightAutoencoder],
    networks: Networks,
    reference: dict[str, Tensor] | None,
) -> NetworkAutoencoder:
    """Whiten the codes, and add the means of what is not encoded and the zoo's statistics."""
    for name, coder in coders.items():
        coder.whiten_(networks.parameters[f"{name}.weight"])
        coder.requires_grad_(False)
    means = {name: value.mean(dim=0) for name, value in networks.parameters.items()}
    networks.form.load_state_dict(means)
    statistics = zoo.observation_mean, zoo.observation_std
    return NetworkAutoencoder(coders, networks.form, reference=reference, statistics=statistics)


def _begin_all(
    networks: Networks,
    latent_sizes: Mapping[str, int],
    hidden: tuple[int, ...],
    method: LinearMethod,
    generator: torch.Generator,
) -> dict[str, WeightAutoencoder]:
    """Return an autoencoder for each layer that is named."""
    if not latent_sizes:
        raise StructuredLayersError(
            "latent_sizes must name at least one layer and the length of its code, for example "
            '{"0": 16}, got none'
        )
    return {
        name: _begin(networks, name, size, hidden, method, generator)
        for name, size in latent_sizes.items()
    }


def _begin(
    networks: Networks,
    name: str,
    size: int,
    hidden: tuple[int, ...],
    method: LinearMethod,
    generator: torch.Generator,
) -> WeightAutoencoder:
    """Return an autoencoder whose linear paths are the code of a method."""
    weights = networks.parameters.get(f"{name}.weight")
    if weights is None:
        known = [n.removesuffix(".weight") for n in networks.parameters if n.endswith(".weight")]
        raise StructuredLayersError(f"the networks have no layer {name!r}, they have {known}")
    check_integer(
        f"the latent size of layer {name!r}", size, 1, weights[0].numel(),
        ", the entries of its weight",
    )  # fmt: skip
    seed = int(torch.randint(2**31, (), generator=generator))
    with torch.random.fork_rng(devices=[]):  # modules draw from the global generator
        torch.manual_seed(seed)
        coder = WeightAutoencoder(weights.shape[1], weights.shape[2], size, hidden)
    coder.set_weights_(weights)
    coder.set_linear_(*_linear_code(networks, name, coder, method, generator))
    return coder


def _linear_code(
    networks: Networks,
    name: str,
    coder: WeightAutoencoder,
    method: LinearMethod,
    generator: torch.Generator,
) -> LinearCode:
    weights = networks.parameters[f"{name}.weight"]
    rows = ((weights - coder.weight_mean) / coder.weight_scale).flatten(1)
    if method == "random":
        return random_projection(rows.shape[1], coder.latent_size, generator)
    if method == "weight_components":
        return principal_components(rows, coder.latent_size)
    if method == "output_components":
        chosen = torch.randint(len(networks.states), (METRIC_STATES,), generator=generator)
        states = networks.states[chosen]
        metric = output_metric(networks.form, networks.parameters, states, f"{name}.weight")
        return principal_components(rows, coder.latent_size, metric)
    raise StructuredLayersError(
        "method must be 'weight_components', 'output_components' or 'random', got " + repr(method)
    )
