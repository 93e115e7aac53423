"""A decoder that is only ever called with tensors from elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .weight_decoder import WeightDecoder


class FrozenModule:
    """The form of a module without its numbers, which the owner keeps as buffers of its own.

    It is no module itself, so that the owner's ``parameters`` and ``state_dict`` do not see it.
    Several threads may call a :class:`WeightDecoder` at once, a module of another class only one.

    Args:
        module: the module; a copy of it is kept, without memory and in evaluation mode.

    Attributes:
        names: for each buffer of the owner, the dotted name of the module's tensor.
        ndims: for each buffer of the owner, its number of dimensions.
    """

    def __init__(self, module: nn.Module) -> None:
        """Copy the module's form."""
        tensors = frozen_tensors(module)
        self.names = dict(zip(tensors, _state_names(module), strict=True))
        self.ndims = {name: tensor.ndim for name, tensor in tensors.items()}
        self._form = copy.deepcopy(module).to("meta").eval().requires_grad_(False)

    def __call__(self, buffers: Mapping[str, Tensor], input: Tensor) -> Tensor:
        """Return what the module with these tensors makes of an input."""
        tensors = {dotted: buffers[name] for name, dotted in self.names.items()}
        output: Tensor
        if type(self._form) is WeightDecoder:
            output = self._form.decode(tensors, input)
        elif torch._C._get_tracing_state() is not None:  # where functional_call refuses to run
            output = _filled(self.form, tensors)(input)
        else:
            output = functional_call(self._form, tensors, (input,))
        return output

    def filled(self, buffers: Mapping[str, Tensor]) -> nn.Module:
        """Return the module with copies of these tensors; nothing of it needs a gradient."""
        module = self.form
        state = {dotted: buffers[name].clone() for name, dotted in self.names.items()}
        for dotted, tensor in state.items():
            owner, _, name = dotted.rpartition(".")
            holder = module.get_submodule(owner)
            if name in holder._parameters:
                tensor = nn.Parameter(tensor, requires_grad=False)
            setattr(holder, name, tensor)
        return module

    @property
    def form(self) -> nn.Module:
        """A copy of the module whose tensors are on the meta device."""
        return copy.deepcopy(self._form)


def _filled(form: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Return the module with plain attributes in the place of its parameters and buffers."""
    for dotted, tensor in tensors.items():
        owner, _, name = dotted.rpartition(".")
        module = form.get_submodule(owner)
        delattr(module, name)
        setattr(module, name, tensor)
    return form


def frozen_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a module under names that a buffer may have."""
    tensors = [*module.parameters(), *module.buffers()]
    found: dict[str, Tensor] = {}
    for dotted, tensor in zip(_state_names(module), tensors, strict=True):
        name = f"decoder_{dotted.replace('.', '_')}"
        while name in found:  # a.b_c and a_b.c
            name += "_"
        found[name] = tensor.detach()
    return found


def _state_names(module: nn.Module) -> list[str]:
    parameters = [name for name, _ in module.named_parameters()]
    return parameters + [name for name, _ in module.named_buffers()]
