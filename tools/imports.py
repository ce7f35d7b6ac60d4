"""Which modules of the library a piece of code needs, directly or through others."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PACKAGE = "lgdcnn_lib"
LIBRARY = Path(__file__).resolve().parents[1] / PACKAGE


def modules() -> tuple[str, ...]:
    """The library's modules, ``__init__`` left out."""
    paths = sorted(LIBRARY.glob("*.py"))
    return tuple(path.stem for path in paths if path.stem != "__init__")


def imported(code: str) -> set[str]:
    """Names of the library's modules that the code imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = f"{PACKAGE}.{node.module or ''}" if node.level else node.module or ""
            base = base.rstrip(".")
            dotted = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        parts = [name.split(".") for name in dotted]
        found |= {part[1] for part in parts if part[0] == PACKAGE and len(part) > 1}
    return found & set(modules())


@cache
def module_imports(name: str) -> frozenset[str]:
    """What one module of the library imports from the others."""
    return frozenset(imported((LIBRARY / f"{name}.py").read_text(encoding="utf-8")))


def needed(code: str) -> set[str]:
    """All modules of the library that the code needs, through others too."""
    todo, found = imported(code), set[str]()
    while todo:
        name = todo.pop()
        found.add(name)
        todo |= module_imports(name) - found
    return found


def imported_names(code: str) -> set[str]:
    """What the code imports from the library's modules, as ``module.object``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, _, module = node.module.partition(".")
            if package == PACKAGE and module:
                found |= {f"{module}.{alias.name}" for alias in node.names}
    return found
