"""Compact policies in Stable-Baselines3 and sb3-contrib.

Importing this package makes ``StructuredMlpPolicy`` known to every algorithm, and the structured
counterpart of each of its other policies: ``StructuredCnnPolicy``, ``StructuredMultiInputPolicy``,
``StructuredMlpLstmPolicy``, …

    PPO("StructuredMlpPolicy", env, policy_kwargs=dict(structure=dict(layer="toeplitz")))
"""

from ...errors import MissingDependencyError

try:
    import stable_baselines3 as _stable_baselines3  # noqa: F401
except ImportError as error:
    raise MissingDependencyError("structured_layers.integrations.sb3", "sb3") from error

from .callbacks import (
    CompressionCallback,
    ExportBestCallback,
    PruningScheduleCallback,
    RecolorCallback,
)
from .compression import compress
from .conversion import convert_policy, resolved_structure
from .deployment import deployed_policy
from .distillation import Distillation
from .policies import structured_policy
from .structure import parse_structure
from .structured import StructuredPolicy
from .sweep import SweepSettings, compress_sweep
from .sweep_results import Sweep, SweepRow
from .target_structure import copy_structure_, sync_target_structure_
from .targets import deployed_layers, policy_networks, target_networks

__all__ = [
    "CompressionCallback",
    "Distillation",
    "ExportBestCallback",
    "PruningScheduleCallback",
    "RecolorCallback",
    "StructuredPolicy",
    "Sweep",
    "SweepRow",
    "SweepSettings",
    "compress",
    "compress_sweep",
    "convert_policy",
    "copy_structure_",
    "deployed_layers",
    "deployed_policy",
    "parse_structure",
    "policy_networks",
    "resolved_structure",
    "structured_policy",
    "sync_target_structure_",
    "target_networks",
]
