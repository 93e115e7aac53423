"""Networks as codes: an autoencoder for each of some layers, and what stays dense."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from structured_layers.errors import CheckpointError, StructuredLayersError
from structured_layers.files import (
    DAMAGE,
    json_digest,
    num_bytes,
    read_json,
    read_tensors,
    write_sealed_json,
    write_tensors,
)
from structured_layers.layers.decoder_files import save_decoder
from structured_layers.layers.latent import LatentLinear
from structured_layers.sequential_spec import SequentialSpec

from .alignment import align, align_all
from .output_distance import check_refinement, encode_layers, refine_codes
from .weight_autoencoder import WeightAutoencoder

FORMAT, VERSION = "structured-layers network autoencoder", 1
DESCRIPTION, TENSORS = "autoencoder.json", "autoencoder.safetensors"
Parameters = Mapping[str, Tensor]


class NetworkAutoencoder:
    """Encodes the weights of some layers of a network, and leaves the others and all biases.

    Args:
        autoencoders: by the dotted name of their layer.
        network: dense; its values are those that :meth:`mean_network` has beside its codes, the
            means over the training networks. It is copied.
        reference: parameters by name, to which the hidden units of a network are aligned before it
            is encoded; None encodes networks as they are.
        statistics: mean and standard deviation of observations, (obs,) each, by which all networks
            that it encodes see them; None is not known.

    Attributes:
        observation_mean: (obs,) float64, or None.
        observation_std: (obs,) float64, or None.

    Raises:
        StructuredLayersError: no autoencoders, or one for a layer that is not there or of another
            shape.

    Examples:
        >>> from structured_layers import mlp, to_dense
        >>> coder = NetworkAutoencoder({"0": WeightAutoencoder(32, 11, 8)}, mlp(11, [32], 3))
        >>> latent = coder.encode(mlp(11, [32], 3))
        >>> latent[0]
        LatentLinear(11 → 32, latent=8, bias=True)
        >>> decoded = to_dense(latent)
    """

    def __init__(
        self,
        autoencoders: Mapping[str, WeightAutoencoder],
        network: nn.Sequential,
        *,
        reference: Parameters | None = None,
        statistics: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        """Check that the autoencoders fit the network."""
        self.autoencoders = dict(autoencoders)
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.spec = SequentialSpec.of(network)
        self.reference = None if reference is None else dict(reference)
        mean, std = (None, None) if statistics is None else statistics
        self.observation_mean = None if mean is None else mean.double().clone()
        self.observation_std = None if std is None else std.double().clone()
        _check_layers(self.autoencoders, self.network)
        if self.reference is not None:
            _check_parameters("the reference", self.reference, self.network)

    @property
    def compression(self) -> float:
        """Entries of the encoded weights for each entry of their codes; biases are not counted."""
        entries = sum(coder.shape[0] * coder.shape[1] for coder in self.autoencoders.values())
        return entries / sum(coder.latent_size for coder in self.autoencoders.values())

    def encode(
        self,
        network: nn.Module,
        *,
        refine_steps: int = 0,
        states: Tensor | None = None,
        output_limit: float | None = None,
    ) -> nn.Module:
        """Return a copy of a network whose encoded layers hold their codes.

        Args:
            network: dense, with parameters of the names and shapes of the training networks'.
                Where a reference is kept, the copy has the hidden units in another order, and
                computes the same but for the loss of the codes.
            refine_steps: steps of Adam on the codes and the biases of their layers, which bring the
                outputs nearer; they start at the code of the encoder.
            states: (S, in) normalised states on which the outputs are compared; needed to refine.
            output_limit: of the actions, see :class:`TrainingSettings`.

        Returns:
            A network with a :class:`~structured_layers.LatentLinear` for each encoded layer.

        Raises:
            StructuredLayersError: a network of another shape, weights that are not finite, or
                refining without states, or on states that are not those of such networks.
        """
        check_refinement(self.network, refine_steps, states, output_limit)
        rows = {name: value[None] for name, value in self._aligned(network).items()}
        codes = self.codes_of(rows)
        if refine_steps and states is not None:
            codes, rows = refine_codes(
                self.autoencoders,
                self.network,
                rows,
                states,
                steps=refine_steps,
                limit=output_limit,
            )
        parameters = {name: value[0] for name, value in rows.items()}
        return self._latent(network, {name: code[0] for name, code in codes.items()}, parameters)

    def codes(self, network: nn.Module) -> dict[str, Tensor]:
        """Return the code (latent_size,) of each encoded layer.

        Raises:
            StructuredLayersError: as :meth:`encode`.
        """
        rows = {name: value[None] for name, value in self._aligned(network).items()}
        return {name: code[0] for name, code in self.codes_of(rows).items()}

    @torch.no_grad()
    def codes_of(self, parameters: Parameters) -> dict[str, Tensor]:
        """Return the codes (N, latent_size) of parameters (N, ...) that are aligned already."""
        return encode_layers(self.autoencoders, parameters)

    def align_all(self, parameters: Parameters) -> dict[str, Tensor]:
        """Return parameters (N, ...) aligned to the reference, if there is one."""
        if self.reference is None:
            return dict(parameters)
        return align_all(self.network, parameters, self.reference)

    def mean_network(self) -> nn.Module:
        """Return the network with codes of zeros, the mean of the training networks' codes.

        Biases and layers that are not encoded are the means over the training networks.
        """
        codes = {n: torch.zeros(coder.latent_size) for n, coder in self.autoencoders.items()}
        return self._latent(self.network, codes, dict(self.network.named_parameters()))

    def save(self, folder: str | Path) -> None:
        """Write the autoencoders, and each decoder alone to ``decoders/NAME`` in the folder.

        Such a folder of a decoder is what ``LatentLinear(..., decoder=folder)`` reads.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = self._tensors()
        description = {
            "format": FORMAT,
            "version": VERSION,
            "network": self.spec.to_json(),
            "layers": {name: coder.to_json() for name, coder in self.autoencoders.items()},
            "aligned": self.reference is not None,
            "statistics": self.observation_mean is not None,
            "bytes": num_bytes(tensors),
        }
        for old in (folder / "decoders").glob("*"):
            if old.name not in self.autoencoders and (old / "decoder.json").exists():
                shutil.rmtree(old)  # of an autoencoder that was here before
        for name, coder in self.autoencoders.items():
            save_decoder(coder.decoder, folder / "decoders" / name)
        write_tensors(folder / TENSORS, tensors, belongs_to=json_digest(description))
        write_sealed_json(folder / DESCRIPTION, description)

    @classmethod
    def load(cls, folder: str | Path) -> NetworkAutoencoder:
        """Read what :meth:`save` wrote.

        Raises:
            CheckpointError: missing, cut off, changed, of a newer version, or not ours.
        """
        folder = Path(folder)
        data = read_json(
            folder / DESCRIPTION, format_name=FORMAT, version=VERSION, sealed_since=VERSION
        )
        tensors = read_tensors(
            folder / TENSORS, size=data.get("bytes"), belongs_to=json_digest(data)
        )
        try:
            coders = {n: WeightAutoencoder.from_json(d) for n, d in data["layers"].items()}
            for name, coder in coders.items():
                coder.load_state_dict(_below(tensors, f"autoencoders.{name}."))
                coder.requires_grad_(False)
            network = SequentialSpec.from_json(data["network"]).build()
            network.load_state_dict(_below(tensors, "network."))
            reference = _below(tensors, "reference.") if data["aligned"] else None
            found = _below(tensors, "observation_")
            statistics = (found["mean"], found["std"]) if data["statistics"] else None
            return cls(coders, network, reference=reference, statistics=statistics)
        except DAMAGE as error:
            raise CheckpointError(f"{folder} does not hold a whole autoencoder: {error}") from error

    def _tensors(self) -> dict[str, Tensor]:
        parts: dict[str, Parameters] = {
            f"autoencoders.{name}": coder.state_dict() for name, coder in self.autoencoders.items()
        }
        parts |= {"network": self.network.state_dict(), "reference": self.reference or {}}
        tensors = {f"{part}.{n}": t for part, named in parts.items() for n, t in named.items()}
        if self.observation_mean is not None and self.observation_std is not None:
            tensors["observation_mean"] = self.observation_mean
            tensors["observation_std"] = self.observation_std
        return tensors

    def _aligned(self, network: nn.Module) -> dict[str, Tensor]:
        parameters = {name: p.detach() for name, p in network.named_parameters()}
        _check_parameters("the network", parameters, self.network)
        _check_activations(network, self.spec)
        if self.reference is None:
            return parameters
        return align(self.network, parameters, self.reference)

    @torch.no_grad()
    def _latent(self, form: nn.Module, codes: Parameters, parameters: Parameters) -> nn.Module:
        """Return a copy of a network with codes and parameters in it, to be trained."""
        network = copy.deepcopy(form).requires_grad_(True)
        for name, parameter in network.named_parameters():
            parameter.copy_(parameters[name])
        for name, coder in self.autoencoders.items():
            linear = network.get_submodule(name)
            if not isinstance(linear, nn.Linear):
                raise StructuredLayersError(
                    f"layer {name!r} must be an nn.Linear to be encoded, got {linear}"
                )
            layer = LatentLinear(
                linear.in_features,
                linear.out_features,
                linear.bias is not None,
                decoder=coder.decoder,
            )
            layer.values.copy_(codes[name])
            if layer.bias is not None:
                layer.bias.copy_(linear.bias)
            network.set_submodule(name, layer)
        return network


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _check_layers(autoencoders: Mapping[str, WeightAutoencoder], network: nn.Module) -> None:
    if not autoencoders:
        raise StructuredLayersError("name at least one layer and its autoencoder, got none")
    linears = {n: m for n, m in network.named_modules() if isinstance(m, nn.Linear)}
    for name, coder in autoencoders.items():
        if name not in linears:
            raise StructuredLayersError(
                f"the network has no nn.Linear called {name!r}; it has {', '.join(linears)}"
            )
        shape = tuple(linears[name].weight.shape)
        if shape != coder.shape:
            raise StructuredLayersError(
                f"the weight of layer {name!r} has shape {shape} (out_features, in_features), its "
                f"autoencoder is of weights {coder.shape}"
            )


def _check_activations(network: nn.Module, spec: SequentialSpec) -> None:
    """Refuse other activations than the training networks'; a tanh may follow, as actors have."""
    if not isinstance(network, nn.Sequential):
        return
    found, expected = SequentialSpec.of(network).steps, spec.steps
    if found not in (expected, (*expected, {"activation": "tanh"})):
        raise StructuredLayersError(
            f"this autoencoder is of networks such as {spec.build()}, and codes mean nothing in "
            f"{network}; in Stable-Baselines3 activation_fn says which activations there are"
        )


def _check_parameters(what: str, parameters: Parameters, network: nn.Module) -> None:
    expected = {name: tuple(p.shape) for name, p in network.named_parameters()}
    found = {name: tuple(value.shape) for name, value in parameters.items()}
    if found != expected:
        raise StructuredLayersError(
            f"this autoencoder is of networks with the parameters {expected}, {what} has {found}"
        )
    for name, value in parameters.items():
        if not bool(value.isfinite().all()):
            raise StructuredLayersError(f"{name} of {what} is NaN or infinite in places")
