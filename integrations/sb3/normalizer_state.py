"""The statistics of a VecNormalize, put back after use."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("obs_rms", "ret_rms", "returns")


@contextmanager
def kept_normalizer(model: Any) -> Iterator[None]:
    """Give a model's VecNormalize back its statistics at the end of the block."""
    normalizer = model.get_vec_normalize_env()
    if normalizer is None:
        yield
        return
    kept = {n: copy.deepcopy(getattr(normalizer, n)) for n in NAMES if hasattr(normalizer, n)}
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(normalizer, name, value)
