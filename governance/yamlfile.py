"""a YAML file -> a checked pydantic value, with errors that name file, line, key and what is allowed."""

from __future__ import annotations

import difflib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from governance.errors import GovernanceError

M = TypeVar("M", bound=BaseModel)


class _Loader(yaml.CSafeLoader):
    """The C loader that refuses a key given twice; silently keeping the last one hides a limit."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, (str, int, float, bool, type(None))):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} is given twice (first in line {seen[key]})", key_node.start_mark
            )
        seen[key] = key_node.start_mark.line + 1
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path, error: type[GovernanceError]) -> tuple[Any, dict[tuple[str | int, ...], int]]:
    """
    Return the content of *path* and the line of every key path in it.

    Raises:
        error: the file cannot be read, is not UTF-8, or is not YAML; the message names file and line.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError as problem:
        raise error(f"{path}: byte {problem.start} is not UTF-8; save the file as UTF-8") from None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        value = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line = mark.line + 1 if mark else 1
        raise error(f"{path}:{line}: not valid YAML: {problem.problem}") from None
    except (yaml.YAMLError, RecursionError) as problem:
        raise error(f"{path}: not valid YAML: {type(problem).__name__}") from None
    lines: dict[tuple[str | int, ...], int] = {}
    if node is not None:
        _lines(node, (), lines)
    return value, lines


def _lines(node: yaml.Node, at: tuple[str | int, ...], out: dict[tuple[str | int, ...], int]) -> None:
    out.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            out[(*at, key.value)] = key.start_mark.line + 1
            _lines(value, (*at, key.value), out)
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _lines(item, (*at, i), out)


def load_model(path: Path, model: type[M], error: type[GovernanceError]) -> M:
    """
    Read *path* as YAML and check it against *model*.

    Raises:
        error: with one line per problem: ``file:line: key: what was found, what is allowed``.
    """
    value, lines = read_yaml(path, error)
    if not isinstance(value, dict):
        raise error(f"{path}:1: holds {type(value).__name__}, expected a mapping of keys")
    try:
        return model.model_validate(value)
    except ValidationError as problem:
        raise error("\n".join(_explain(path, model, lines, e) for e in problem.errors())) from None


def _explain(path: Path, model: type[BaseModel], lines: dict[tuple[str | int, ...], int], e: Any) -> str:
    where = tuple(part for part in e["loc"])
    line = next((lines[where[:k]] for k in range(len(where), -1, -1) if where[:k] in lines), 1)
    key = ".".join(str(part) for part in where if not str(part).startswith("function-")) or "file"
    if e["type"] == "extra_forbidden":
        allowed = _allowed(model, where[:-1])
        near = difflib.get_close_matches(str(where[-1]), allowed, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{path}:{line}: {key}: unknown key{hint} (allowed: {', '.join(allowed)})"
    if e["type"] == "missing":
        return f"{path}:{line}: {key}: is missing"
    if e["type"] == "value_error":
        return f"{path}:{line}: {key}: {e['ctx']['error']}"
    found = e.get("input")
    shown = f", found {found!r}" if isinstance(found, (str, int, float, bool, type(None))) else ""
    message = e["msg"][0].lower() + e["msg"][1:]
    return f"{path}:{line}: {key}: {message}{shown}"


def _allowed(model: Any, where: tuple[str | int, ...]) -> list[str]:
    """The keys that *model* has at *where*; one part of the path goes into a model, a dict value or a list item."""
    current: Any = model
    for part in where:
        if isinstance(current, type) and issubclass(current, BaseModel):
            fields = {f.alias or name: f for name, f in current.model_fields.items()}
            current = fields[str(part)].annotation if str(part) in fields else None
        else:
            current = _args(current)[-1] if _args(current) else None
        while _args(current) and typing.get_origin(current) in (typing.Union, types.UnionType, typing.Annotated):
            current = _args(current)[0]
    if isinstance(current, type) and issubclass(current, BaseModel):
        return sorted(f.alias or name for name, f in current.model_fields.items())
    return []


def _args(annotation: Any) -> list[Any]:
    return [a for a in typing.get_args(annotation) if a is not type(None)]
