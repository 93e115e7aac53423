"""The command line ``structured-layers``."""

from .main import entry_point, main

__all__ = ["entry_point", "main"]
