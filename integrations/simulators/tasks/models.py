"""Compiling the models of tasks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium

from structured_layers.errors import StructuredLayersError

ASSETS = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"


def compile_asset(mujoco: ModuleType, xml_file: str) -> Any:
    """Compile one of Gymnasium's models, or the file at a path.

    Args:
        mujoco: the module.
        xml_file: a path if it begins with "/", "." or "~", else the name of one of Gymnasium's.
    """
    path = Path(xml_file) if xml_file[:1] in ("/", ".", "~") else ASSETS / xml_file
    with contextlib.suppress(RuntimeError):  # of a user that does not exist, nor does the file
        path = path.expanduser()
    if not path.is_file():
        raise StructuredLayersError(
            f"xml_file {xml_file!r} does not exist: there is no file {path.absolute()}; a path of "
            'your own begins with "/", "." or "~", everything else is a name in Gymnasium\'s assets'
        )
    try:
        with without_remarks(mujoco):
            return mujoco.MjModel.from_xml_path(str(path))
    except ValueError as error:
        raise StructuredLayersError(f"xml_file {xml_file!r} cannot be compiled: {error}") from error


@contextlib.contextmanager
def without_remarks(mujoco: ModuleType) -> Iterator[None]:
    """Compile inside the block without MuJoCo's remarks on the XML.

    MuJoCo would print that `half_cheetah.xml` uses a deprecated attribute, and log it to a file in
    the working directory: nothing that a user can change.
    """
    handler = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda _: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(handler)
