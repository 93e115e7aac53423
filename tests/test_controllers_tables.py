"""The page on controllers says whether goals were reached, from the records alone."""

import sys

import pytest
from markdown_blocks import ROOT

ORIGIN = {"command": "python x.py", "machine": "a machine"}


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from controllers_tables import controllers_parts

    yield lambda record=None, masks=None: {
        name: "\n".join(lines) for name, lines in controllers_parts(record, masks).items()
    }
    for name in ("controllers_tables", "mask_convergence"):
        sys.modules.pop(name, None)


def test_nothing_is_recorded(parts) -> None:
    assert {text.strip() for text in parts().values()} == {"Nothing is recorded yet."}


@pytest.mark.parametrize(("share", "verdict"), [(0.12, "reached"), (0.121, "not reached")])
def test_the_goal_of_the_pointer_network(parts, share: float, verdict: str) -> None:
    times = {"generation": 10.0, "propose": 0.4, "observe": 0.8, "share": share}
    record = {"share": ORIGIN | {"found": {"policy gradient, PPO": times}}}
    assert (
        f"| 0.400 s | 0.800 s | 10.0 s | {100 * share:.2f} % | 12 %: {verdict} |"
        in (parts(record)["share"])
    )


def test_margins_are_in_standard_errors(parts) -> None:
    """Means of 0.9 and 0.5, both with a standard deviation of 0.1 over two values."""
    spread = 0.1 / 2**0.5
    found = {
        "random search": {"best": [0.5 - spread, 0.5 + spread], "first_found": [None, None]},
        "other": {"best": [0.9 - spread, 0.9 + spread], "first_found": [None, 700]},
    }
    record = {"mask": ORIGIN | {"found": {"log10_size": 4.8, "controllers": found}}}
    text = parts(record)["hidden"]
    assert "| other | 90.0 ± 10.0 % | 4.0 standard errors | 1 of 2 seeds | 700 |" in text
    assert "| random search | 50.0 ± 10.0 % |  | 0 of 2 seeds |  |" in text


def test_convergence_to_a_mask(parts) -> None:
    seeds = {
        "0": {"steps": [1000, 2000], "certainty": [[0.2, 0.4], [0.9, 0.96]], "mask": [1, 0]},
        "1": {"steps": [1000, 2000], "certainty": [[0.2, 0.4], [0.5, 0.6]], "mask": [1, 1]},
    }
    text = parts(None, ORIGIN | {"seeds": seeds})["masks"]
    assert "| 0 | 0.93 | 2,000 | 1 of 2 |" in text
    assert "| 1 | 0.55 | not reached | 2 of 2 |" in text
