"""The weight that a layer showed last, for calls without gradients.

Between two updates a policy acts thousands of times, and to choose colours or edges anew takes
longer than the product of a small layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .fused_choice import is_plain_call

MOST_KEPT = 1 << 16  # entries: beyond the size of a policy memory counts for more than time
PLAIN = (nn.Parameter, Tensor)


class KeptWeight:
    """A weight with copies of what it was made of; copies and pickles of it start empty.

    Values are compared, since ``.data`` and ``load_state_dict`` write without a trace. Nobody else
    gets hold of the weight.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._last: tuple[Tensor, list[Tensor], Any] | None = None

    def show(
        self, build: Callable[..., Tensor], tensors: tuple[Tensor, ...], *choice: int
    ) -> Tensor:
        """Return what ``build(*tensors, *choice)`` returns; it is not to be written to.

        Args:
            build: what makes the weight.
            tensors: what it is made of.
            choice: further arguments, compared as well.
        """
        last = self._last
        if last is not None and last[2] == choice and all(map(_are_same, last[1], tensors)):
            return last[0]
        # Copied first, and built from the copies: another thread may be writing.
        copies = [
            tensor.detach().clone(memory_format=torch.contiguous_format) for tensor in tensors
        ]
        weight = build(*copies, *choice)
        self._last = weight, copies, choice
        return weight

    def __deepcopy__(self, memo: dict[int, Any]) -> KeptWeight:
        """Return an empty one."""
        return KeptWeight()

    def __reduce__(self) -> tuple[type[KeptWeight], tuple[()]]:
        """Pickle an empty one."""
        return KeptWeight, ()


def may_be_kept(tensor: Tensor) -> bool:
    """Tell whether a call uses one layer's tensor in a way that sees values alone, on the CPU."""
    return (
        not torch.is_grad_enabled()
        and is_plain_call(tensor)  # before all that a tracer would have to understand
        and type(tensor) in PLAIN
        and tensor.device.type == "cpu"
        and tensor.numel() <= MOST_KEPT
        and torch._C._len_torch_dispatch_stack() == 0
    )


def _are_same(mine: Tensor, present: Tensor) -> bool:
    return mine.dtype == present.dtype and torch.equal(mine, present)
