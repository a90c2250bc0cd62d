"""Records as bytes and back, without pickle: a file in the store can hold numbers and text, never a program.

The layout follows the record's own fields and types, so that a record that gains a field needs no change here. Arrays
go into an npz archive as they are, bit by bit; everything else into one JSON text beside them.
"""

import io
import json
import types
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

_TREE = "tree"


def plain(
    value: object, keep_array: Callable[[NDArray[Any]], object], keep_float: Callable[[float], object] = float
) -> object:
    """Turn a record into what JSON can hold; each array and float becomes what its function gives for it.

    Raises
    ------
    TypeError
        Where a value is neither a dataclass, mapping, sequence, enum, path, array, number, text nor None.
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return keep_float(value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, np.ndarray):
        return keep_array(value)
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value):
        return {
            field.name: plain(getattr(value, field.name), keep_array, keep_float)
            for field in fields(value)
            if field.init
        }
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"keys must be text: {list(value)[:3]}")
        return {str(key): plain(item, keep_array, keep_float) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item, keep_array, keep_float) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be kept")


def pack(record: object) -> bytes:
    """Return a record as bytes that `unpack` turns back into an equal one.

    Parameters
    ----------
    record : dataclass instance
        Its fields may hold records, mappings with text keys, sequences, enums, paths, arrays, numbers, text and None.

    Raises
    ------
    TypeError
        Where a field holds anything else, arrays of objects included.
    """
    arrays: dict[str, NDArray[Any]] = {}

    def keep(array: NDArray[Any]) -> object:
        if array.dtype.hasobject:
            raise TypeError("an array of objects cannot be kept")
        arrays[f"a{len(arrays)}"] = array
        return f"a{len(arrays) - 1}"

    text = json.dumps(plain(record, keep), separators=(",", ":"))
    stream = io.BytesIO()
    members: dict[str, Any] = {_TREE: np.frombuffer(text.encode(), np.uint8), **arrays}
    np.savez(stream, **members)
    return stream.getvalue()


def unpack(payload: bytes, kind: type[T]) -> T:
    """Return the record that `pack` was given.

    Raises
    ------
    ValueError
        Where the bytes are no record of this kind.
    """
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as members:
            arrays = {name: members[name] for name in members.files}
        record: T = _build(json.loads(arrays.pop(_TREE).tobytes()), kind, arrays)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"these bytes are no {kind.__name__}") from error
    return record


@cache
def _kinds_of(record: type) -> Mapping[str, Any]:
    return get_type_hints(record, include_extras=True)


def _build(tree: Any, hint: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _build(tree, inner[0], arrays)
    alias = getattr(origin or hint, "__value__", None)
    if alias is not None:  # a type alias by name, as NDArray is from NumPy 2.5 on
        return _build(tree, alias, arrays)
    if origin in (types.UnionType, Union):
        if tree is None:
            return None
        (hint,) = (part for part in inner if part is not type(None))
        return _build(tree, hint, arrays)
    if origin is np.ndarray:
        return arrays[tree]
    if origin is tuple:
        hints = [inner[0]] * len(tree) if inner[1:] == (...,) else inner
        return tuple(_build(item, each, arrays) for item, each in zip(tree, hints, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _build(item, inner[1], arrays) for key, item in tree.items()}
    if isinstance(origin, type):
        return origin(_build(item, inner[0], arrays) for item in tree)
    if is_dataclass(hint) and isinstance(hint, type):
        kinds = _kinds_of(hint)
        return hint(**{name: _build(item, kinds[name], arrays) for name, item in tree.items()})
    return tree if tree is None else hint(tree)
