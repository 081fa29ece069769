"""Command lines in what is said, as calls of functions."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: Options that are one letter, by what they are called in full.
_LETTERS = {"-o": "output", "-m": "model"}
#: Options that functions do without.
_LEFT = {"json", "no_report", "quiet"}


def as_call(line: str, renamed: Mapping[str, str] | None = None) -> str:
    """A command line as the call that does the same, or of Python's program if no function does.

    Parameters
    ----------
    line
        Words of a shell, ``scgpt embed cells.h5ad --max-length 300``; without arguments, of which a function is named.
    renamed
        Arguments by their options, without dashes in front, where they are called otherwise.
    """
    call = _call(line, renamed)
    return f"python -m scgpt_rs {line.removeprefix('scgpt ')}" if call is None else call


def _call(line: str, renamed: Mapping[str, str] | None) -> str | None:
    try:
        words = shlex.split(line)[1:]
    except ValueError:
        # A quotation mark that belongs to the text.
        return None
    name, function, rest = _function(words)
    if function is None:
        return None
    if not rest:
        return name
    parameters = inspect.signature(function).parameters
    places = [it.name for it in parameters.values() if it.kind is it.POSITIONAL_OR_KEYWORD]
    given: dict[str, list[Any]] = {}
    while rest:
        word, *rest = rest
        if not word.startswith("-"):
            argument, value = places[0] if places and places[0] not in given else "", word
        else:
            flag, is_joint, value = word.partition("=")
            option = _LETTERS.get(flag, flag.removeprefix("--"))
            argument = (renamed or {}).get(option, option.replace("-", "_"))
            is_flag = argument in _LEFT or argument in parameters and "bool" in str(parameters[argument].annotation)
            if not is_joint and not is_flag:
                value, rest = (rest[0], rest[1:]) if rest and not rest[0].startswith("-") else ("", rest)
        if argument in parameters:
            given.setdefault(argument, []).append(_value(argument, value, parameters[argument]))
        elif argument not in _LEFT and not (argument == "output" and "copy" in parameters):
            return None
    spelled = {
        argument: values[0] if len(values) == 1 else f"[{', '.join(values)}]" for argument, values in given.items()
    }
    first = [spelled.pop(argument) for argument in places[:1] if argument in spelled]
    return f"{name}({', '.join(first + [f'{argument}={value}' for argument, value in spelled.items()])})"


def _function(words: Sequence[str]) -> tuple[str, Callable[..., Any] | None, list[str]]:
    """The function of a command, its name, and the words behind that of the command."""
    from . import read, tl

    for n in (2, 1):
        name = "_".join(words[:n])
        if len(words) >= n and name in tl.__all__:
            return f"tl.{name}", getattr(tl, name), list(words[n:])
    if words[:1] == ["inspect"]:
        return "read.inspect", read.inspect, list(words[1:])
    return "", None, []


def _value(argument: str, text: str, parameter: inspect.Parameter) -> str:
    """The value of an option as it is written in Python; cells in memory are called as their argument is."""
    if text == argument and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
        return text
    kinds = str(parameter.annotation)
    if text == "" and "bool" not in kinds:
        # The option is spoken of.
        return "…"
    if text in ("", "true", "false") and "bool" in kinds:
        return str(text != "false")
    if "int" in kinds and re.fullmatch(r"-?\d+", text) or "float" in kinds and re.fullmatch(r"-?[\d.]+(e-?\d+)?", text):
        return text
    return repr(text)
