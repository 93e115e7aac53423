"""The archives hold each file once, under the name that it is imported by."""

import json
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Runs without `site`, so that no editable install puts the checkout on the import path.
PROBE = """
import importlib, importlib.util, json, sys
sys.path[:0] = [sys.argv[1]]
sys.path += sys.argv[2:]
names = ["structured_layers", "structured_layers.algorithms", "structured_layers.integrations"]
print(json.dumps({
    "files": {name: importlib.import_module(name).__file__ for name in names},
    "top_level": [n for n in ("algorithms", "integrations") if importlib.util.find_spec(n)],
}))
"""


def run(*arguments: str | Path, cwd: Path) -> str:
    result = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source archive, and the wheel built from it."""
    folder = tmp_path_factory.mktemp("archives")
    run("-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (source,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    return source, wheel


@pytest.fixture(scope="module")
def installed(archives: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    run("-m", "pip", "install", *options, "--target", target, archives[1], cwd=target)
    return target


def python_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")}


def test_source_archive_has_folders_and_no_links(archives: tuple[Path, Path]) -> None:
    with tarfile.open(archives[0]) as archive:
        members = archive.getmembers()
    names = {member.name.split("/", 1)[1] for member in members}
    assert {"algorithms/__init__.py", "integrations/__init__.py", "LICENSE"} <= names
    assert not any(member.issym() for member in members)
    assert not any(
        name.startswith(("structured_layers/algorithms", "structured_layers/integrations"))
        for name in names
    )


def test_wheel_has_every_module_once(archives: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(archives[1]) as archive:
        names = archive.namelist()
    assert len(names) == len(set(names))
    assert {name.split("/")[0].split("-")[0] for name in names} == {"structured_layers"}
    assert "structured_layers/py.typed" in names
    expected = {f"structured_layers/{name}" for name in python_files(ROOT / "structured_layers")}
    for folder in ("algorithms", "integrations"):
        expected |= {f"structured_layers/{folder}/{n}" for n in python_files(ROOT / folder)}
    assert {name for name in names if name.endswith(".py")} == expected


def test_wheel_imports_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    paths = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    probe = json.loads(run("-I", "-S", "-c", PROBE, installed, *paths, cwd=tmp_path))
    assert all(Path(file).is_relative_to(installed) for file in probe["files"].values())
    assert probe["top_level"] == []


def test_wheel_installs_the_command(installed: Path) -> None:
    (information,) = installed.glob("structured_layers-*.dist-info")
    entry_points = (information / "entry_points.txt").read_text()
    assert "structured-layers = structured_layers.integrations.cli:entry_point" in entry_points
