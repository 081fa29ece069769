"""Arguments of functions as words of a command line, and as they were written."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from os import PathLike, fspath
from typing import Any, TypeVar, cast

_T = TypeVar("_T")


class _Default:
    """What nobody gave: the command line then has the last word, or a file of settings, or the environment."""


class _Int(_Default, int):
    pass


class _Float(_Default, float):
    pass


class _Str(_Default, str):
    __slots__ = ()


def default(value: _T) -> _T:
    """A value by default, which is told apart from the same value given by somebody."""
    kinds: dict[type, Any] = {int: _Int, float: _Float, str: _Str}
    return cast(_T, kinds[type(value)](value))


@dataclass(frozen=True)
class Option:
    """An option of the command line.

    Attributes
    ----------
    flag : str
        As it is spelled, ``--max-length``; empty for what stands alone.
    is_bare : bool
        Whether ``True`` is spelled by the flag alone, and ``False`` by nothing.
    delimiter : str or None
        What stands between several values; if nothing does, the option is repeated.
    """

    flag: str
    is_bare: bool = False
    delimiter: str | None = None

    def words(self, value: Any) -> list[str]:
        """The option with a value, as words of a command line."""
        value = plain(value)
        if value is None or isinstance(value, _Default) or (value is False and self.is_bare):
            return []
        if value is True and self.is_bare:
            return [self.flag]
        values = _values(value)
        if self.delimiter is not None:
            values = [self.delimiter.join(values)] if values else []
        if not self.flag:
            return values
        joint = "=" if self.flag.startswith("--") else ""
        return [f"{self.flag}{joint}{value}" for value in values]


def plain(value: Any) -> Any:
    """A path as text, and what numpy and pandas have as Python has it."""
    if isinstance(value, PathLike):
        return fspath(value)
    return value.tolist() if hasattr(value, "tolist") else value


def _values(value: Any) -> list[str]:
    value = plain(value)
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [f"{name}={plain(it)}" for name, it in value.items()]
    if isinstance(value, Sequence):
        return [text for it in value for text in _values(it)]
    if isinstance(value, Real) and not isinstance(value, Integral) and float(value).is_integer():
        # R has whole numbers as floats, and options for whole numbers want them as such.
        return [str(int(float(value)))]
    return [str(value)]


def options(known: Mapping[str, Option], given: Mapping[str, Any]) -> list[str]:
    """The arguments of a function as words of a command line."""
    return [word for name, option in known.items() for word in option.words(given.get(name))]


def record(name: str, given: Mapping[str, Any]) -> str:
    """A call of a tool as it would be written: its cells, and the arguments that were given."""
    from . import tl

    shown = [
        f"{it.name}={value!r}"
        for it in inspect.signature(getattr(tl, name)).parameters.values()
        if it.kind is it.KEYWORD_ONLY and it.name not in ("copy", "report")
        if (value := plain(given[it.name])) is not it.default
    ]
    return f"scgpt_rs.tl.{name}({', '.join(['adata', *shown])})"
