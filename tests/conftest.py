"""What all tests share: quiet and small third-party libraries, fixed seeds."""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Without it, Ray warns at every start about how it will treat machines without a GPU.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# Ray's workers stand back for all other processes: on a busy machine they start in minutes.
os.environ.setdefault("RAY_worker_niceness", "0")

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


@pytest.fixture(scope="module")
def ray_session() -> Iterator[None]:
    """One Ray for a module's tests, whose workers find this checkout and the test environments."""
    tests = Path(__file__).parent
    places = [str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, places)))
        yield
        import ray

        ray.shutdown()
