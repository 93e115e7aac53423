"""Callbacks that report, prune, recolour and export the structured layers of a training model."""

from .compression import CompressionCallback
from .export_best import ExportBestCallback
from .pruning import PruningScheduleCallback
from .recolor import RecolorCallback

__all__ = [
    "CompressionCallback",
    "ExportBestCallback",
    "PruningScheduleCallback",
    "RecolorCallback",
]
