"""Reading the pages of the documentation: their code blocks, commands and links."""

import contextlib
import io
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    return [Block(*match.groups()) for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))]


def run_python_blocks(page: Path) -> None:
    """Run a page's Python blocks one after the other; a text block behind one is its output."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    found = [*blocks(page), Block("", "")]
    for block, following in zip(found, found[1:], strict=False):
        if block.language != "python":
            continue
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(block.text, str(page), "exec"), namespace)
        if following.language == "text":
            assert output.getvalue() == following.text, f"{page.name}: {block.text}"


def commands(page: Path) -> list[list[str]]:
    """Return the words of every line of a page's shell blocks."""
    lines = [line for b in blocks(page) if b.language == "sh" for line in b.text.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def local_links(page: Path) -> list[str]:
    """Return the targets of a page's links and pictures that lie in the repository."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return [target for target in _LINK.findall(text) if "://" not in target]


def make_targets() -> set[str]:
    """Return the targets that the Makefile declares."""
    text = (ROOT / "Makefile").read_text()
    return set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())


def extras() -> set[str]:
    """Return the extras that pyproject.toml declares."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return set(project["optional-dependencies"])
