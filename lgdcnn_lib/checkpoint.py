"""Nested values with tensors in one safetensors file: no pickle, exact resume."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


def _strip(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Replace each tensor by a reference; mark dictionaries, whose keys may be int."""
    if isinstance(value, Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[k, _strip(v, tensors)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"list": [_strip(v, tensors) for v in value]}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    raise TypeError(f"cannot save a {type(value).__name__}")


def _restore(node: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    ((kind, content),) = node.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {k: _restore(v, tensors) for k, v in content}
    if kind == "list":
        return [_restore(v, tensors) for v in content]
    return content


def save_tree(path: str | Path, tree: Any) -> None:
    """Write nested dicts, lists, numbers, strings and tensors to ``path``, at once.

    Raises
    ------
    TypeError
        For a value of another type.
    OSError
        When the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    structure = _strip(tree, tensors)
    temporary = f"{path}.partial"
    try:
        save_file(tensors, temporary, metadata={"tree": json.dumps(structure)})
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
    os.replace(temporary, path)


def load_tree(path: str | Path) -> Any:
    """Read what ``save_tree`` wrote; tuples come back as lists.

    Raises
    ------
    ValueError
        For a file that ``save_tree`` did not write.
    """
    try:
        with safe_open(path, framework="pt") as file:
            structure = json.loads((file.metadata() or {})["tree"])
            # Copies: a view of the file breaks when somebody replaces the file.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path} was not written by save_tree: {error}") from error
    return _restore(structure, tensors)
