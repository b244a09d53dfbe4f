"""docs/security.md: every rule and way to fail has its row, and the tests that it names exist."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache

from tests.conftest import ROOT

DOCUMENT = ROOT / "docs/security.md"
RULES = {f"S{number}" for number in range(1, 61)}
FAILURES = {
    f"F{number:02}"
    for number in (
        *(1, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 16, 17, 19, 20, 21, 23, 25, 26, 27, 28, 29),
        *(31, 32, 33, 34, 35, 37, 38, 39, 40, 41, 42, 43, 44, 45, 47, 48, 49, 50, 51, 52, 53),
        *(55, 56, 58, 59, 60, 61, 62, 64, 66, 67, 68, 69, 70, 73, 74, 76, 78, 79, 80, 82, 83),
        *(85, 86),
    )
}
"""Numbers that are missing are not used."""
NAME = re.compile(r"`(tests/[\w/]+\.py)((?:::\w+)+)`")


def rows() -> list[list[str]]:
    """Return the cells of each row of the two tables."""
    found = re.findall(r"^\| ([SF]\d+) \|(.*)\|$", DOCUMENT.read_text(), re.M)
    return [[number, *(cell.strip() for cell in rest.split("|"))] for number, rest in found]


@cache
def named_tests(path: str) -> frozenset[str]:
    """Return the names of a file's tests, those of a class with its name before them."""

    def names(body: list[ast.stmt], before: str = "") -> list[str]:
        found = []
        for one in body:
            if isinstance(one, ast.FunctionDef) and one.name.startswith("test_"):
                found.append(f"{before}::{one.name}")
            elif isinstance(one, ast.ClassDef):
                found += names(one.body, f"{before}::{one.name}")
        return found

    file = ROOT / path
    return frozenset(names(ast.parse(file.read_text()).body)) if file.exists() else frozenset()


def test_every_rule_and_every_way_to_fail_has_one_row() -> None:
    numbers = Counter(number for number, *_ in rows())
    assert set(numbers) == RULES | FAILURES
    assert set(numbers.values()) == {1}


def test_no_cell_is_empty() -> None:
    for number, *cells in rows():
        assert len(cells) == 3, number
        assert all(re.search(r"\w", cell) for cell in cells), number


def test_every_row_names_tests_that_exist() -> None:
    for number, *_, shown in rows():
        named = NAME.findall(shown)
        assert named, number
        assert re.sub(r"[\s,]", "", NAME.sub("", shown)) == "", number
        for path, test in named:
            assert test in named_tests(path), f"{number}: {path}{test}"


def test_what_is_no_test_would_be_seen() -> None:
    assert "::test_no_cell_is_empty" in named_tests("tests/test_security_doc.py")
    assert "::rows" not in named_tests("tests/test_security_doc.py")
    assert named_tests("tests/test_nothing.py") == frozenset()
