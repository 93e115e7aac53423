"""Which of a network's trained values are latent codes, and where a search of them begins."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from evotorch import Problem
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from structured_layers.errors import StructuredLayersError
from structured_layers.layers import LatentLinear

from ..argument_checks import check_choice, check_positive


def is_code(problem: Problem) -> Tensor:
    """Return which values of a solution are latent codes, (d,).

    Raises:
        StructuredLayersError: the problem has no network, or this has no latent layers.
    """
    network = getattr(problem, "network", None)
    flags: list[Tensor] = []
    if isinstance(network, nn.Module):
        codes = {id(m.values) for m in network.modules() if isinstance(m, LatentLinear)}
        flags = [torch.full((p.numel(),), id(p) in codes) for p in network.parameters()]
    found = torch.cat(flags) if flags else torch.zeros(1, dtype=torch.bool)
    if not bool(found.any()):
        raise StructuredLayersError(
            "a latent search needs a PolicyProblem whose network has LatentLinear layers; make the "
            "network by NetworkAutoencoder.mean_network() or encode(), or convert it with "
            'convert_(network, "latent", decoder=…); for weights take GA or ES'
        )
    return found


def code_scales(problem: Problem, dense_scale: float) -> Tensor:
    """Return factors on σ, (d,): 1 for codes, ``dense_scale`` for biases and dense layers."""
    check_positive("dense_scale", dense_scale)
    return torch.where(is_code(problem), 1.0, float(dense_scale)).to(problem.dtype)


def decoders_digest(problem: Problem) -> str:
    """Return a checksum of what turns codes into weights; codes mean nothing to another decoder."""
    digest = hashlib.sha256()
    for dotted, module in problem.network.named_modules():
        if isinstance(module, LatentLinear):
            for name, tensor in module.named_buffers():  # all of them are its decoder's
                digest.update(f"{dotted}.{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
                values = tensor.detach().cpu().contiguous().reshape(-1)
                digest.update(values.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def named_start(problem: Problem, name: str, n: int, generator: torch.Generator) -> Tensor:
    """Return where a latent search begins that is told so by name.

    Args:
        problem: its network has latent layers.
        name: ``"network"`` is the problem's network as it is; ``"normal"`` draws codes from
            N(0, I), the spread of an autoencoder's training networks, and keeps all other values.
        n: how many are drawn.
        generator: of the draws.

    Returns:
        (1, d) or (n, d)

    Raises:
        StructuredLayersError: an unknown name.
    """
    check_choice("the start of a latent search", name, ("network", "normal"))
    own: Tensor = parameters_to_vector(problem.network.parameters())
    own = own.detach().to(problem.dtype, copy=True)
    if name == "network":
        return own[None]
    noise = torch.randn(n, len(own), generator=generator, dtype=own.dtype)
    return torch.where(is_code(problem), noise, own)


def values_of(problem: Problem, networks: Sequence[nn.Module]) -> Tensor:
    """Return the trained values (n, d) of networks with latent layers like the problem's.

    Raises:
        StructuredLayersError: a network with another number of values.
    """
    rows = [parameters_to_vector(network.parameters()).detach() for network in networks]
    for row in rows:
        if len(row) != problem.solution_length:
            raise StructuredLayersError(
                f"a network to start from has {len(row)} trained values, the problem's "
                f"{problem.solution_length}; encode both with the same autoencoder"
            )
    return torch.stack(rows)
