"""What all tests share: quiet and small third-party libraries, fixed seeds."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Without it, Ray warns at every start about how it will treat machines without a GPU.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import pytest
import torch
from hypothesis import settings

# Machines differ in speed, and a failure has to come back in the next run.
settings.register_profile("reproducible", deadline=None, derandomize=True)
settings.load_profile("reproducible")

# Tests run in several processes; more threads than processors slow all of them down.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
