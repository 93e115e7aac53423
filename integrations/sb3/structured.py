"""What makes a policy class of Stable-Baselines3 take a ``structure``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from stable_baselines3.common.policies import BasePolicy
from torch import nn

from ...layers import StructuredLinear
from .conversion import convert_policy
from .embedded_decoders import embed_decoders_, with_embedded_decoders

if TYPE_CHECKING:
    Base = BasePolicy
else:  # the policy class that comes after it in the bases is the real one
    Base = object


class StructuredPolicy(Base):
    """What makes a policy class take ``structure``; it stands before that class in the bases.

    Args:
        *args: what the policy class takes.
        structure: which layers become what, see
            :func:`~structured_layers.integrations.sb3.structure.parse_structure`; None for none. In
            place of the folder of a decoder it holds the decoder afterwards, for the zip.
        **kwargs: what the policy class takes.

    Attributes:
        structure: the structure, which saved policies are built with again.

    Examples:
        >>> from stable_baselines3.common.policies import ActorCriticPolicy
        >>> class MyPolicy(StructuredPolicy, ActorCriticPolicy):
        ...     pass
    """

    structure: Any = None
    _keywords: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, *args: Any, structure: Any = None, **kwargs: Any) -> None:
        """Build the dense policy, then convert it: after its initialisation, matching its gains."""
        super().__init__(*args, **kwargs)
        self.structure = with_embedded_decoders(structure)
        self._keywords = kwargs
        if structure is not None:
            convert_policy(self, self.structure, init="match")
            embed_decoders_(structure, self.structure)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        # Some policies do not list all that they were given, RecurrentPPO's leave out the LSTM's.
        given = {**self._keywords, **super()._get_constructor_parameters()}
        return {**given, "structure": self.structure}


class StructuredTRPOPolicy(StructuredPolicy):
    """A structured policy for TRPO.

    TRPO takes every parameter with "value" in its name for the critic's. The free values of an
    actor's layers are called ``values``, so they need another name there.
    """

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the parameters; the free values of an actor's layers under another name."""
        layers = {id(m.values) for m in self.modules() if isinstance(m, StructuredLinear)}
        for name, parameter in super().named_parameters(*args, **kwargs):
            free = name.removesuffix("values") if id(parameter) in layers else name
            yield (name if free == name else f"{free}free_weights"), parameter
