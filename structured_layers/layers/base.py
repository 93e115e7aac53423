"""The contract that every structured layer keeps."""

from __future__ import annotations

import inspect
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NoReturn, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

READ_ONLY_WEIGHT = (
    "weight is built from the layer's free values and is read-only; write to `values`, "
    "or build the layer from a dense one with from_linear"
)


class StructuredLinear(nn.Module, ABC):
    r"""A linear layer whose weight matrix is built from few free values.

    .. math:: y = x W(\theta)^\top + b

    The trained values are the parameter ``values``, discrete structure lies in the buffers that
    ``topology_names`` lists. ``weight`` is rebuilt at every use, so that optimizers,
    ``functional_call`` and target networks always see the current values. An in-place
    initialisation of ``weight`` therefore changes nothing: initialise an ``nn.Linear`` and pass it
    to :meth:`from_linear`.

    Args:
        in_features: size of each input sample.
        out_features: size of each output sample.
        bias: whether the layer adds a trained bias.
        device: where the parameters live.
        dtype: the floating-point type of the parameters.

    Shape:
        - Input: ``(*, in_features)`` with any leading dimensions.
        - Output: ``(*, out_features)``.

    Attributes:
        values: the free values.
        bias: ``(out_features,)``, or None.

    Raises:
        StructuredLayersError: if a size is not an integer of at least 1.
    """

    topology_names: tuple[str, ...] = ()
    in_features: int
    out_features: int
    values: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Check the sizes and allocate the bias."""
        super().__init__()
        check_dtype(dtype)
        self.in_features = check_size("in_features", in_features)
        self.out_features = check_size("out_features", out_features)
        if bias:
            self.bias = nn.Parameter(torch.empty(self.out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)

    @abstractmethod
    def weight_from(
        self, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the dense weight that this layer would have with other values.

        Args:
            parameters: this layer's parameters by name, with any leading batch dimensions.
            buffers: this layer's buffers by name, batched in the same way or not at all.

        Returns:
            ``(*batch, out_features, in_features)``. The weight of a candidate has the same bits in
            whatever batch it is built.
        """

    @classmethod
    @abstractmethod
    def _nearest(
        cls, weight: Tensor, *args: Any, **structure: Any
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the constructor's structure and the parameters closest to a dense weight."""

    @property
    def weight(self) -> Tensor:
        """The dense weight ``(out_features, in_features)``, differentiable and read-only."""
        # The dictionaries, not the attributes: functional_call substitutes their entries.
        tensors = self._parameters if "values" in self._parameters else self._substituted()
        buffers = self._buffers if tensors is self._parameters else tensors
        return self.weight_from(
            cast("Mapping[str, Tensor]", tensors), cast("Mapping[str, Tensor]", buffers)
        )

    @weight.setter
    def weight(self, value: Tensor) -> NoReturn:
        raise AttributeError(READ_ONLY_WEIGHT)

    @property
    def num_weights(self) -> int:
        """The number of distinct trained weights; biases are not counted."""
        return self.values.numel()

    def topology_range(self, name: str) -> range:
        """Return the integers that the structure buffer ``name`` may hold."""
        raise StructuredLayersError(
            f"{type(self).__name__} has no structure buffer {name!r}; "
            f"it has {list(self.topology_names)}"
        )

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(*, in_features)`` to ``(*, out_features)``."""
        # The dictionaries, as in `weight`, and because attributes take longer to look up.
        if "values" not in self._parameters:
            return F.linear(input, self.weight, self.bias)
        return F.linear(input, self._weight_in_use(), self._parameters["bias"])

    def _weight_in_use(self) -> Tensor:
        """Return the weight of a forward pass, which nobody writes to."""
        return self.weight_from(self._parameters, self._buffers)  # type: ignore[arg-type]

    def _substituted(self) -> dict[str, Any]:
        """Return all tensors by name where TensorDict has put plain ones among the attributes."""
        return {**vars(self), **self._buffers, **self._parameters}

    def _add_bias(self, product: Tensor) -> Tensor:
        """Return a product of the weight with an input as the output, contiguous as a dense one."""
        return product.contiguous() if self.bias is None else product + self.bias

    def reset_parameters(self) -> None:
        """Draw values and bias anew, with the output variance of ``nn.Linear``'s default."""
        bound = 1 / math.sqrt(self._fan_in())
        nn.init.uniform_(self.values, -bound, bound)
        self._reset_bias()

    def _reset_bias(self) -> None:
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            nn.init.uniform_(self.bias, -bound, bound)

    def _fan_in(self) -> float:
        return float(self.in_features)

    @classmethod
    def from_linear(cls, linear: nn.Linear, **structure: Any) -> Self:
        """Return the layer of this structure that is nearest to a dense one.

        Bias values, device and dtype are kept; nothing of ``linear`` is shared or changed.

        Args:
            linear: the dense layer.
            **structure: what the class needs to know, see the class.

        Raises:
            StructuredLayersError: if ``linear`` is no ``nn.Linear`` of real, finite weights, or
                needs values that its type cannot hold; for a keyword that the class does not take.
        """
        weight = _checked_weight(linear)
        _check_structure(cls, structure)
        keywords, parameters = cls._nearest(weight.to("cpu", torch.float64), **structure)
        placement: dict[str, Any] = {"device": weight.device, "dtype": weight.dtype}
        has_bias = linear.bias is not None
        layer = cls(linear.in_features, linear.out_features, has_bias, **keywords, **placement)
        with torch.no_grad():
            for name, value in parameters.items():
                parameter = layer.get_parameter(name)
                parameter.copy_(value)
                _check_finite(parameter)
            if layer.bias is not None:
                layer.bias.copy_(linear.bias)
        return layer

    @torch.no_grad()
    def to_linear(self) -> nn.Linear:
        """Return a dense copy of the layer, which shares nothing with it and needs no gradient."""
        weight = self.weight
        out_features, in_features = weight.shape
        has_bias = self.bias is not None
        # Through the meta device, so that no random numbers are drawn.
        linear = nn.Linear(in_features, out_features, has_bias, device="meta", dtype=weight.dtype)
        linear = linear.to_empty(device=weight.device).requires_grad_(False)
        linear.weight.copy_(weight)
        if self.bias is not None:
            linear.bias.copy_(self.bias)
        return linear

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """Register a parameter, as every module does, but none called ``weight``."""
        if name == "weight":
            raise AttributeError(READ_ONLY_WEIGHT)
        super().register_parameter(name, param)

    def extra_repr(self) -> str:
        """Return sizes, structure and bias for ``repr``."""
        fields = {**self._structure_fields(), "bias": self.bias is not None}
        described = ", ".join(f"{name}={value}" for name, value in fields.items())
        return f"{self.in_features} → {self.out_features}, {described}"

    def _structure_fields(self) -> dict[str, object]:
        return {}


def as_integer(value: object) -> int | None:
    """Return an integer of any library as an int, and None for all else, truth values too."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(cast("int", value))
    except (TypeError, ValueError, RuntimeError):  # what tensors raise is no TypeError alone
        return None


def check_size(name: str, value: int) -> int:
    """Return ``value`` as an int if it is an integer of at least 1, and refuse it otherwise."""
    size = as_integer(value)
    if size is None or size < 1:
        raise StructuredLayersError(f"{name} must be an integer of at least 1, got {value!r}")
    return size


def check_flag(name: str, value: object) -> bool:
    """Return ``value`` if it is True or False; the text "false" would count as true."""
    if not isinstance(value, bool):
        raise StructuredLayersError(f"{name} must be True or False, got {value!r}")
    return value


def check_dtype(dtype: torch.dtype | None) -> None:
    """Refuse all types but real floating-point ones, and None, which stands for the default."""
    if dtype is None or (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        return
    raise StructuredLayersError(
        f"dtype must be a real floating-point type such as torch.float32, got {dtype!r}"
    )


def mean_fan_in(edges: Tensor) -> float:
    """Return the mean number of edges that enter an output, but at least 1.

    Args:
        edges: (out, in) bool, True where an edge exists.
    """
    out_features, in_features = edges.shape
    if edges.is_meta:
        return float(in_features)
    return max(1.0, int(edges.sum()) / out_features)


def _checked_weight(linear: nn.Linear) -> Tensor:
    if not isinstance(linear, nn.Linear):
        name = f"{type(linear).__module__}.{type(linear).__qualname__}"
        raise StructuredLayersError(f"from_linear needs a torch.nn.Linear, got a {name}")
    weight = linear.weight.detach()
    if not weight.is_floating_point():
        raise StructuredLayersError(
            f"from_linear needs real floating-point weights, got {weight.dtype}; convert the layer "
            "to such a type first"
        )
    if weight.is_meta or not bool(weight.isfinite().all()):
        found = "on the meta device" if weight.is_meta else "NaN or infinite in places"
        raise StructuredLayersError(
            f"from_linear needs finite weights, but those of the layer are {found}; "
            "initialise or load the layer first"
        )
    return weight


def _check_finite(parameter: Tensor) -> None:
    if not bool(parameter.isfinite().all()):
        raise StructuredLayersError(
            f"from_linear needs values that {parameter.dtype} can hold, but those nearest to the "
            "weights of the layer are too large; convert the layer to a wider type first"
        )


def _check_structure(cls: type[StructuredLinear], structure: Mapping[str, Any]) -> None:
    """Refuse keywords that neither the fit of a class nor, behind it, its constructor takes."""
    fit = inspect.signature(cls._nearest).parameters.values()
    accepted = {p.name: p for p in fit if p.kind is inspect.Parameter.KEYWORD_ONLY}
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in fit):
        own = inspect.signature(cls).parameters
        if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in own.values()):
            return
        common = inspect.signature(StructuredLinear).parameters
        accepted |= {name: p for name, p in own.items() if name not in common}
    unknown = sorted(structure.keys() - accepted.keys())
    if unknown:
        takes = f"the keywords {', '.join(sorted(accepted))}" if accepted else "no keywords"
        raise StructuredLayersError(
            f"{cls.__name__}.from_linear takes {takes} besides the layer; got {', '.join(unknown)}"
        )
