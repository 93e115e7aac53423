"""Example pictures of reports, for the page about analysis.

    python benchmarks/analysis_pictures.py

Trains five small runs, a few minutes in all, reports them and writes docs/assets/analysis_*.png.
They show what the pictures look like, not what the searches reach.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from machine import ROOT
from PIL import Image

from structured_layers.files import write_bytes
from structured_layers.integrations.evotorch.full_report import write_comparison, write_run_report
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig

ASSETS = ROOT / "docs" / "assets"
SIZES = {"popsize": 8, "center_evaluations": 2, "total_steps": 150_000}
COLORED = {"hidden": (), "num_colors": 8, "observation_normalization": False, **SIZES}
EVOLVED = {"controller_population": 12}

CONFIGS = {
    "evolution": RunConfig("Swimmer-v5", **COLORED, **EVOLVED),
    "random": RunConfig("Swimmer-v5", **COLORED, controller="random"),
    "fixed": RunConfig("Swimmer-v5", **COLORED, controller="fixed"),
    "mask": RunConfig(
        "Swimmer-v5",
        structure="edge-mask",
        hidden=(),
        observation_normalization=False,
        **SIZES,
        **EVOLVED,
    ),  # fmt: skip
    "edges": RunConfig(
        "Swimmer-v5",
        structure="edges",
        hidden=(8,),
        num_edges=24,
        skip=True,
        unit_activations=("tanh", "relu", "sin", "identity"),
        observation_normalization=False,
        **SIZES,
        **EVOLVED,
    ),  # fmt: skip
}

PICTURES = {
    "evolution": (
        "learning_curve", "best_per_interval", "weights", "entropies", "displacement_ranks",
        "structure_changes",
    ),
    "mask": ("edge_frequencies", "return_against_edges"),
    "edges": ("graph",),
}  # fmt: skip


def main() -> None:
    """Train, report and copy the pictures."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, config in CONFIGS.items():
            run = Run.create(folder / name, config)
            run.train()
            run.close()
        for name, stems in PICTURES.items():
            report = write_run_report(folder / name)
            keep(report.pictures, stems)
        compared = [folder / name for name in ("evolution", "random", "fixed")]
        keep(write_comparison(compared, folder / "compared").pictures, ("runs", "run_panels"))


def keep(pictures: tuple[Path, ...], stems: tuple[str, ...]) -> None:
    """Copy pictures made smaller, which is enough for a page."""
    for path in pictures:
        if path.stem in stems:
            write_bytes(ASSETS / f"analysis_{path.name}", smaller(path))


def smaller(path: Path) -> bytes:
    """Return a picture as PNG of two thirds its size, with a palette."""
    image = Image.open(path).convert("RGB")
    image = image.resize((image.width * 2 // 3, image.height * 2 // 3), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    palette = image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    palette.save(data, format="png", optimize=True)
    return data.getvalue()


if __name__ == "__main__":
    main()
