"""A report as one HTML page that needs nothing else: its pictures are in it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from structured_layers.files import write_bytes

from .run_pictures import Picture

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2rem 0 0.3rem; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ccc; padding: 0.25rem 0.8rem 0.25rem 0; text-align: left; }
img { max-width: 100%; height: auto; } p { margin: 0.2rem 0 0.6rem; }
"""


def write_page(
    path: Path,
    title: str,
    rows: Sequence[Mapping[str, str]],
    pictures: Sequence[Picture],
    notes: Sequence[str] = (),
) -> Path:
    """Write a page and return its path.

    Args:
        path: of the page.
        title: its heading.
        rows: of its table, all with the same columns; a single one is written downwards.
        pictures: in order.
        notes: sentences above them.
    """
    body = [f"<h1>{escape(title)}</h1>", _table(rows), *(f"<p>{escape(n)}</p>" for n in notes)]
    body += [_figure(picture) for picture in pictures]
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    )
    write_bytes(path, (page + "\n".join(body) + "\n</body>\n</html>\n").encode())
    return path


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    if len(rows) == 1:
        lines = [_line("th", [name]) + _line("td", [text]) for name, text in rows[0].items()]
    else:
        lines = [_line("th", list(rows[0])), *(_line("td", list(row.values())) for row in rows)]
    return "<table>\n" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "\n</table>"


def _line(tag: str, texts: Sequence[str]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode()
    return (
        f"<h2>{escape(picture.title)}</h2>\n<p>{escape(picture.caption)}</p>\n"
        f'<img alt="{escape(picture.title)}" src="data:image/png;base64,{data}">'
    )
