"""Damage that folders of runs and policies can take, each kind a function of a file and a draw.

A mutation is drawn from a `random.Random`, so that its number makes it again.
"""

import copy
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from structured_layers.files import MAX_JSON, json_digest

Draw = random.Random
HUGE = 10 * 2**30  # bytes of a sparse file, which takes no place on the disk
ODD_NUMBERS = ("NaN", "-Infinity", "1e999", "9" * 30, "-1", "9" * 5000, "4294967296", "0", "1.5")
ODD_VALUES = (*ODD_NUMBERS, "null", "true", '""', '"\\ud800"', "[]", "{}", "[" * 3 + "1" + "]" * 3)


def flip(path: Path, draw: Draw) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(draw.randint(1, 4)):
        if data:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)


def cut(path: Path, draw: Draw) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: draw.randrange(max(len(data), 1))])


def overwrite(path: Path, draw: Draw) -> None:
    data = bytearray(path.read_bytes())
    start = draw.randrange(len(data) + 1)
    length = draw.randint(1, 64)
    data[start : start + length] = draw.choice([bytes(length), draw.randbytes(length)])
    path.write_bytes(data)


def repeat(path: Path, draw: Draw) -> None:
    data = path.read_bytes()
    start = draw.randrange(len(data) + 1)
    path.write_bytes(data + data[start:] + draw.randbytes(draw.randrange(9)))


def empty(path: Path, draw: Draw) -> None:
    path.write_bytes(b"")


def remove(path: Path, draw: Draw) -> None:
    path.unlink()


def inflate(path: Path, draw: Draw) -> None:
    os.truncate(path, draw.choice([HUGE, 2**20, path.stat().st_size + 1]))


def make_directory(path: Path, draw: Draw) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path, draw: Draw) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path, draw: Draw) -> None:
    kind = draw.choice(["moved", "dangling", "itself", "device", "folder", "sibling"])
    moved = path.with_name("moved-" + path.name)
    path.rename(moved)
    siblings = sorted(p for p in path.parent.iterdir() if p.is_file())
    targets = {
        "moved": moved,
        "dangling": path.with_name("nothing"),
        "itself": path,
        "device": Path("/dev/zero"),
        "folder": path.parent,
        "sibling": draw.choice(siblings),
    }
    path.symlink_to(targets[kind])


def swap(path: Path, draw: Draw, root: Path) -> None:
    other = draw.choice([file for file in files_of(root) if file != path])
    between = path.with_name("between")
    path.rename(between)
    other.rename(path)
    between.rename(other)


def take_foreign(path: Path, draw: Draw, donors: list[Path]) -> None:
    shutil.copyfile(draw.choice(files_of(draw.choice(donors))), path)


def change_keys(path: Path, draw: Draw) -> None:
    """Rename, remove or double a key of a JSON file, at any depth."""
    data = json.loads(path.read_bytes())
    parent, key = draw.choice([(p, k) for p, k in places(data) if isinstance(p, dict)])
    kind = draw.choice(["rename", "remove", "copy"])
    value = parent[key] if kind == "copy" else parent.pop(key)
    if kind != "remove":
        parent[draw.choice([key + "x", key[:-1], "", "$tensor", "state"])] = copy.deepcopy(value)
    write_json(path, data, draw)


def change_values(path: Path, draw: Draw) -> None:
    """Put something odd in the place of a value of a JSON file, at any depth."""
    data = json.loads(path.read_bytes())
    parent, key = draw.choice(list(places(data)))
    parent[key] = "%odd%"
    odd = draw.choice(ODD_VALUES)
    write_json(path, data, draw, odd)


def exchange_values(path: Path, draw: Draw) -> None:
    """Exchange two values of a JSON file."""
    data = json.loads(path.read_bytes())
    spots = [(p, k) for p, k in places(data) if not isinstance(p[k], (dict, list))]
    (one, first), (other, second) = draw.choice(spots), draw.choice(spots)
    one[first], other[second] = other[second], one[first]
    write_json(path, data, draw)


def nest(path: Path, draw: Draw) -> None:
    """Put very deep brackets around or into a JSON file."""
    depth = draw.choice([100, 900, 985, 990, 995, 1000, 100_000])
    opened, closed = draw.choice([("[", "]"), ('{"a":', "}")])
    inner = opened * depth + "1" + closed * depth
    text = path.read_text()
    path.write_text(draw.choice([inner, text.rstrip()[:-1] + f', "deep": {inner}}}']))


def change_header(path: Path, draw: Draw) -> None:
    """Change the header of a safetensors file: shapes, offsets, types, names, its own length."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
    entries = [entry for name, entry in header.items() if name != "__metadata__"]
    entry = draw.choice(entries)
    number = draw.choice([0, -1, 1, 2**31, 2**40, 2**63, 2**64, 10**30])
    place = draw.choice(["shape", "offset", "dtype", "name", "metadata", "length", "both", "odd"])
    if place in ("shape", "both"):
        entry["shape"] = [number, *entry["shape"][1:]]
    if place in ("offset", "both"):
        entry["data_offsets"][draw.randrange(2)] = number
    if place == "dtype":
        entry["dtype"] = draw.choice(["F64", "U8", "BOOL", "F4", "F8_E8M0", "C64", "X", "", 3])
    if place == "name":
        header[draw.choice(["", "x", "__metadata__"])] = header.pop(draw.choice(list(header)))
    if place == "metadata":
        header["__metadata__"] = draw.choice([None, {}, 3, {"sha256": "0" * 64}, {"sha256": 1}])
    if place == "odd":
        entry[draw.choice(list(entry))] = draw.choice([None, [], {}, "x", [[]], [0, 0, 0], 1.5])
    text = json.dumps(header).encode()
    size = len(text) if place != "length" else abs(number) % 2**64
    path.write_bytes(size.to_bytes(8, "little") + text + rest)


def grow(path: Path, draw: Draw) -> None:
    """Let a safetensors file say that it is large, and be so: header and size fit each other."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
    entries = [entry for name, entry in header.items() if name != "__metadata__"]
    last = max(entries, key=lambda entry: entry["data_offsets"][1])
    size = draw.choice([2**12, 2**30, 2**34, 200 * 2**30])
    last["dtype"], last["shape"] = "U8", [size]
    last["data_offsets"][1] = last["data_offsets"][0] + size
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + rest)
    os.truncate(path, 8 + len(text) + last["data_offsets"][1])


def stuff(path: Path, draw: Draw) -> None:
    """Fill a JSON file with as much junk as is read, or with more."""
    size = draw.choice([MAX_JSON, MAX_JSON, 16 * 2**20])
    junk = draw.choice(["[],", "{},", "0,", '"",', "[0.1],", '{"a":null},', '"\\ud800",'])
    text = path.read_text().rstrip()[:-1]
    if draw.random() < 0.5:
        count = (size - len(text) - 20) // len(junk)
        path.write_text(text + ', "junk": [' + (junk * count)[:-1] + "]}")
    else:
        count = (size - len(text) - 20) // 11
        keys = ",".join(f'"{key:06x}":0' for key in range(count))
        path.write_text(text + ', "junk": {' + keys + "}}")


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container of JSON data with each of its keys."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        yield data, key
        if isinstance(value, (dict, list)):
            yield from places(value)


def write_json(path: Path, data: Any, draw: Draw, odd: str = "null") -> None:
    """Write JSON with ``odd`` in the place of its mark, and in half of all cases a right seal.

    With a right seal the damage is not noticed at the file's checksum but has to be further on.
    """
    text = json.dumps(data).replace('"%odd%"', odd)
    if isinstance(data, dict) and "seal" in data and draw.random() < 0.5:
        try:
            read = json.loads(text)
            text = json.dumps({**read, "seal": json_digest(read)})
            path.with_name("forged").touch()
        except ValueError:  # digits beyond what Python converts
            pass
    path.write_text(text)


ANY: dict[str, Callable[[Path, Draw], None]] = {
    "bytes flipped": flip,
    "cut": cut,
    "overwritten": overwrite,
    "repeated": repeat,
    "emptied": empty,
    "removed": remove,
    "inflated": inflate,
    "a folder": make_directory,
    "a pipe": make_pipe,
    "a link": link,
}
JSON: dict[str, Callable[[Path, Draw], None]] = {
    "keys changed": change_keys,
    "values changed": change_values,
    "values exchanged": exchange_values,
    "nested": nest,
}


SPECIAL: dict[str, Callable[[Path, Draw], None]] = {
    "header changed": change_header,
    "grown": grow,
    "stuffed": stuff,
}


def files_of(root: Path) -> list[Path]:
    """The files of a run or a policy, the lock left out."""
    return sorted(p for p in root.rglob("*") if p.is_file() and p.suffix in _SUFFIXES)


_SUFFIXES = (".json", ".csv", ".safetensors")


def mutate(root: Path, donors: list[Path], draw: Draw) -> str:
    """Damage a file of a folder and return the kind of the damage."""
    path = draw.choice(files_of(root))
    kinds = [*ANY, "swapped", "foreign"]
    if path.suffix == ".json":
        kinds += [*JSON] * 3 + ["stuffed"]
    if path.suffix == ".safetensors":
        kinds += ["header changed"] * 8 + ["grown"] * 2
    kind = draw.choice(kinds)
    if kind == "swapped":
        swap(path, draw, root)
    elif kind == "foreign":
        take_foreign(path, draw, donors)
    elif kind in SPECIAL:
        SPECIAL[kind](path, draw)
    else:
        {**ANY, **JSON}[kind](path, draw)
    return kind
