"""Break the code in small ways and see whether a test notices; `make mutants` runs it.

    python -m tests.mutants                        every mutant of every module below; takes hours
    python -m tests.mutants --every 10             each tenth of them
    python -m tests.mutants app/factors/totp.py    those of one module

A mutant lives in the memory of a process of its own: no file is changed. What survives is explained
in tests/mutants.md, or is a test that is missing.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent
PATIENCE = 600
"""Seconds that the tests may take on the code as it is. A mutant with which they take several times
as long never ends, and counts as noticed."""
_TIMES, _LEAST_PATIENCE = 5, 30
GATEWAY, V2 = "tests/web/gateway", "tests/web/api_v2"
SAVED = "tests/factors/test_saved_codes.py"

NOTICED_BY: dict[str, list[str]] = {
    "app/factors/totp.py": ["tests/factors/test_totp.py", f"{GATEWAY}/test_verify.py"],
    "app/factors/recovery_code.py": [SAVED, f"{GATEWAY}/test_recovery.py"],
    "app/factors/bypass_code.py": [SAVED, f"{GATEWAY}/test_bypass.py"],
    "app/factors/message_code.py": ["tests/factors/test_dual.py", "tests/factors/test_email.py"],
    "app/factors/magic_link.py": [SAVED, f"{GATEWAY}/test_magic_link.py"],
    "app/factors/passkey.py": ["tests/factors/test_passkey.py"],
    "app/factors/passkey_checks.py": [
        "tests/factors/test_passkey_checks.py",
        f"{GATEWAY}/test_passkey.py",
    ],
    "app/factors/passkey_options.py": ["tests/factors/test_passkey.py"],
    "app/services/limits.py": [
        "tests/services/test_limits.py",
        f"{GATEWAY}/test_limits.py",
        f"{V2}/test_totp_challenge.py",
        f"{GATEWAY}/test_recovery.py",
        f"{GATEWAY}/test_bypass.py",
        f"{GATEWAY}/test_magic_link.py",
    ],
    "app/services/charges.py": ["tests/services/test_limits.py", f"{GATEWAY}/test_limits.py"],
    "app/services/lockouts.py": ["tests/web/admin/test_policy.py"],
    "app/services/tallies.py": ["tests/web/admin/test_overview.py"],
    "app/services/sending_limits.py": [
        "tests/services/test_sending_limits.py",
        "tests/web/test_notices.py",
        f"{V2}/test_imports.py",
    ],
    "app/services/assurance.py": ["tests/services/test_assurance.py"],
    "app/services/answers.py": [
        f"{GATEWAY}/test_visits.py",
        f"{GATEWAY}/test_step_up.py",
        "tests/web/oidc/test_authorize.py",
        "tests/web/oidc/test_unauthenticated.py",
        "tests/web/duo/test_answers.py",
        "tests/web/entra/test_visits.py",
        "tests/web/cryptr/test_gateway.py",
    ],
    "app/services/authorization_codes.py": ["tests/web/oidc/test_token.py"],
    "app/services/tokens.py": [
        f"{V2}/test_results.py",
        f"{V2}/test_token.py",
        f"{GATEWAY}/test_visits.py",
        f"{GATEWAY}/test_recovery.py",
        f"{GATEWAY}/test_step_up.py",
        f"{GATEWAY}/test_trusted_browsers.py",
        f"{GATEWAY}/test_policy.py",
        "tests/web/duo/test_answers.py",
    ],
}
"""The modules that are broken, and the tests that have to notice."""

_HEAVY = (
    "alembic",
    "babel",
    "cryptography.x509",
    "flask",
    "joserfc",
    "phonenumbers",
    "pydantic",
    "sqlalchemy.orm",
    "webauthn",
    "zxcvbn",
)
_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
}


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    path: str
    line: int
    says: str
    source: str


def mutants(path: str, text: str) -> Iterator[Mutant]:
    """Yield every mutant of a module: one node changed in each."""
    tree = ast.parse(text)
    decorators = [it for node in ast.walk(tree) for it in getattr(node, "decorator_list", [])]
    spared = {id(node) for one in decorators for node in ast.walk(one)}  # `frozen` judges nothing
    for number, node in enumerate(ast.walk(tree)):
        for kind in [] if id(node) in spared else _kinds(node):
            broken = copy.deepcopy(tree)
            target = list(ast.walk(broken))[number]
            before = ast.unparse(target)
            _break(target, kind)
            says = " -> ".join(text.split("\n")[0] for text in (before, ast.unparse(target)))
            yield Mutant(path, getattr(node, "lineno", 0), says, ast.unparse(broken))


def _kinds(node: ast.AST) -> list[str]:
    """Return in which ways a node can be broken."""
    if isinstance(node, ast.Compare):
        return [f"ops {n}" for n, op in enumerate(node.ops) if type(op) in _SWAPS]
    if isinstance(node, ast.BoolOp):
        return ["op"]
    if isinstance(node, ast.BinOp) and type(node.op) in _SWAPS:
        return [] if isinstance(node.left, ast.JoinedStr) else ["op"]
    if isinstance(node, ast.If | ast.IfExp):
        return ["test"]
    if isinstance(node, ast.Constant) and type(node.value) in {bool, int}:
        return ["value"]
    return []


def _break(node: ast.AST, kind: str) -> None:
    match node, kind.split():
        case ast.Compare(), ["ops", number]:
            node.ops[int(number)] = _SWAPS[type(node.ops[int(number)])]()  # type: ignore[assignment,call-overload]
        case ast.BoolOp() | ast.BinOp(), _:
            node.op = _SWAPS[type(node.op)]()  # type: ignore[assignment,call-overload]
        case ast.If() | ast.IfExp(), _:
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.Constant(value=bool()), _:
            node.value = not node.value
        case ast.Constant(value=int(value)), _:
            node.value = value + 1
    ast.fix_missing_locations(node)


class _Instead(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives a mutant to whoever imports its module."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._name = mutant.path.removesuffix(".py").replace("/", ".")

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        origin = str(ROOT / self._mutant.path)
        return importlib.machinery.ModuleSpec(name, self, origin=origin)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._mutant.source, self._mutant.path, "exec"), module.__dict__)  # noqa: S102


def survives(mutant: Mutant | None, tests: list[str], patience: float = PATIENCE) -> bool:
    """Run the tests on it in a process of its own; None runs them on the code as it is."""
    child = os.fork()
    if child == 0:
        os._exit(_run(mutant, tests))
    end = time.monotonic() + patience
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _run(mutant: Mutant | None, tests: list[str]) -> int:
    import pytest

    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    if mutant:
        sys.meta_path.insert(0, _Instead(mutant))
    options = ["-x", "-q", "-k", "not postgresql", "-p", "no:cacheprovider", "-p", "no:logging"]
    return int(pytest.main([*options, "-p", "no:schemathesis", *tests]))


def main() -> int:
    """Tell what became of each mutant; the exit status says whether any survived."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("modules", nargs="*", default=list(NOTICED_BY))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    for name in _HEAVY:
        importlib.import_module(name)  # once here, and not once in each process
    told: Counter[str] = Counter()
    for path in asked.modules:
        began = time.monotonic()
        if not survives(None, NOTICED_BY[path]):
            print(f"{path}: the tests fail on the code as it is", flush=True)
            return 2
        patience = _LEAST_PATIENCE + _TIMES * (time.monotonic() - began)
        for mutant in list(mutants(path, (ROOT / path).read_text()))[asked.first :: asked.every]:
            survived = survives(mutant, NOTICED_BY[path], patience)
            told["survived" if survived else "noticed"] += 1
            verdict = "SURVIVED" if survived else "noticed"
            print(f"{verdict} {path}:{mutant.line}: {mutant.says}", flush=True)
    print(f"{told['noticed']} noticed, {told['survived']} survived")
    return 1 if told["survived"] else 0


if __name__ == "__main__":
    sys.exit(main())
