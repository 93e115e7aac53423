"""What a record says of a folder that it was made with."""

from __future__ import annotations

import hashlib
from pathlib import Path


def folder_digest(folder: Path | None) -> dict[str, str] | None:
    """Return the checksums of a folder's files by their names, None for no folder."""
    if folder is None:
        return None
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()) for path in files}
    return {name: digest.hexdigest() for name, digest in digests.items()}
