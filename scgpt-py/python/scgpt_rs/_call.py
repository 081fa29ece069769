"""Calls of commands: arguments of functions become a command line, and what it writes becomes slots or results."""

from __future__ import annotations

import inspect
import json
import logging
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from numbers import Integral, Real
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from . import _slots
from ._cells import Cells, is_path, lent
from ._errors import ScgptError, as_python
from ._native import call
from ._progress import Progress
from ._result import Report, Result

logger = logging.getLogger("scgpt_rs")

#: The words that a command line of this program begins with.
_PROGRAM = (sys.executable, "-m", "scgpt_rs")
#: Exit codes: of a program that was asked to stop, and of a wrong command line.
_INTERRUPTED, _USAGE = 130, 2
#: What cells in memory are called.
_ADATA = "adata"


@dataclass(frozen=True)
class Option:
    """An option of the command line.

    Attributes
    ----------
    flag : str
        As it is spelled, ``--max-length``; empty for what stands alone.
    is_bare : bool
        Whether ``True`` is spelled by the flag alone.
    delimiter : str or None
        What stands between several values; if nothing does, the option is repeated.
    default : str or None
        The value that stands for nothing: the command line then has the last word, or a file of settings.
    """

    flag: str
    is_bare: bool = False
    delimiter: str | None = None
    default: str | None = None

    def words(self, value: Any) -> list[str]:
        """The option with a value, as words of a command line."""
        if value is None or (value is False and self.is_bare):
            return []
        if value is True and self.is_bare:
            return [self.flag]
        values = _values(value)
        if values == [self.default]:
            return []
        if self.delimiter is not None:
            values = [self.delimiter.join(values)]
        if not self.flag:
            return values
        joint = "=" if self.flag.startswith("--") else ""
        return [f"{self.flag}{joint}{value}" for value in values]


def _values(value: Any) -> list[str]:
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, (str, PathLike)):
        return [fspath(value)]
    if isinstance(value, Mapping):
        return [f"{name}={fspath(it) if isinstance(it, PathLike) else it}" for name, it in value.items()]
    if isinstance(value, Sequence) or hasattr(value, "tolist") and getattr(value, "ndim", 0) == 1:
        return [text for it in value for text in _values(it)]
    if isinstance(value, Real) and not isinstance(value, Integral) and float(value).is_integer():
        # R has whole numbers as floats, and options for whole numbers want them as such.
        return [str(int(float(value)))]
    return [str(value)]


def options(known: Mapping[str, Option], given: Mapping[str, Any]) -> list[str]:
    """The arguments of a function as words of a command line."""
    return [word for name, option in known.items() for word in option.words(given.get(name))]


def names(*given: Any) -> list[str]:
    """The names that arguments give, one or several each."""
    return [text for value in given if value is not None for text in _values(value)]


def record(name: str, given: Mapping[str, Any]) -> str:
    """A call of a tool as it would be written: its cells, and the arguments that are not as they are by default."""
    from . import tl

    known = inspect.signature(getattr(tl, name)).parameters.values()
    plain = {
        it.name: fspath(given[it.name]) if isinstance(given[it.name], PathLike) else given[it.name] for it in known
    }
    shown = [
        f"{it.name}={plain[it.name]!r}"
        for it in known
        if it.kind is it.KEYWORD_ONLY and plain[it.name] != it.default and it.name not in ("copy", "report")
    ]
    return f"scgpt_rs.tl.{name}({', '.join([_ADATA, *shown])})"


def run(words: Sequence[str], called: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a command line, and return the JSON that it prints.

    Parameters
    ----------
    words
        The command line without the name of the program.
    called
        What files are called in messages, by their paths.

    Raises
    ------
    ScgptError
        If an input or a setting is wrong, or an output cannot be written.
    KeyboardInterrupt
        If the user stopped it.
    """
    told: list[str] = []

    def named(text: str) -> str:
        for path, name in (called or {}).items():
            text = text.replace(path, name)
        return text

    def tell(line: str) -> None:
        line = named(line)
        told.append(line)
        is_warning = line.startswith("warning: ")
        if not line.startswith(("error: ", "hint: ", "  caused by")):
            logger.log(logging.WARNING if is_warning else logging.INFO, "%s", as_python(line))

    progress = Progress()
    try:
        code, printed = call(["scgpt", *words, "--json"], _PROGRAM, tell, progress)
    finally:
        progress.close()
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    if code == _USAGE:
        message = "\n".join(told)
        for rest in ("\n\nUsage: ", "\n\nFor more information, try "):
            message, _, _ = message.partition(rest)
        raise ScgptError(message.removeprefix("error: ").strip())
    printed = named(printed)
    answer: dict[str, Any] = json.loads(printed) if printed.strip() else {}
    if code != 0:
        error = answer.get("error", {"message": "\n".join(told)})
        message = "\n".join([error["message"], *(f"caused by: {it}" for it in error.get("causes", []))])
        raise ScgptError(message, error.get("hint"))
    return answer


def _copied(adata: Any) -> Any:
    return adata.to_memory() if getattr(adata, "isbacked", False) else adata.copy()


def _report(path: str | None) -> Report | None:
    return None if path is None else Report(Path(path).read_text(encoding="utf-8"))


def on_cells(
    command: Sequence[str],
    adata: Cells,
    words: Sequence[str],
    *,
    record: str,
    obsm: Sequence[str] = (),
    report: bool = False,
    copy: bool = False,
    can_report: bool = True,
) -> Any:
    """Run a command whose results are slots of its cells.

    Returns
    -------
    None, AnnData or Result
        The cells if they are read from a file, or a copy is asked for; a result if a report is.
    """
    with tempfile.TemporaryDirectory(prefix="scgpt-") as folder, ExitStack() as stack:
        here = Path(folder)
        path = stack.enter_context(lent(adata, here, "cells", obsm))
        output = here / ("written.h5mu" if path.endswith(".h5mu") else "written.h5ad")
        quiet = [] if report or not can_report else ["--no-report"]
        called = {} if is_path(adata) else {path: _ADATA}
        answer = run([*command, path, "-o", fspath(output), *quiet, *words], called)
        if not output.exists():
            # A training that was planned, not run.
            return Result(answer["result"])
        if is_path(adata):
            cells = _slots.read(output)
        else:
            cells = _copied(adata) if copy else adata
            _slots.take(cells, output, answer.get("slots", []), record)
        if report:
            new = cells if copy or is_path(adata) else None
            return Result(answer["result"], _report(answer.get("report")), adata=new)
    return cells if copy or is_path(adata) else None


def to_folder(
    command: Sequence[str],
    cells: Mapping[str, Cells | None],
    output: str | PathLike[str] | None,
    words: Sequence[str],
    *,
    obsm: Sequence[str] = (),
) -> Result:
    """Run a command that writes a file or folder, or nothing, beside what it says.

    Parameters
    ----------
    cells
        Cells by the option that takes them; an empty one stands for their place on the command line.
    """
    with tempfile.TemporaryDirectory(prefix="scgpt-") as folder, ExitStack() as stack:
        line, called = list(command), {}
        for number, (flag, one) in enumerate(cells.items()):
            if one is not None:
                path = stack.enter_context(lent(one, Path(folder), f"cells{number or ''}", obsm))
                line += [f"{flag}={path}" if flag else path]
                if not is_path(one):
                    called[path] = _ADATA if number == 0 else flag.lstrip("-")
        line += [] if output is None else ["-o", fspath(output)]
        answer = run([*line, *words], called)
        where = None if output is None else Path(output)
        page = answer.get("report")
        if page is None and where is not None and (where / "report.html").is_file():
            page = fspath(where / "report.html")
        return Result(answer["result"], _report(page), output=where)


def new_cells(
    command: Sequence[str],
    cells: Mapping[str, Cells | None],
    output: str | PathLike[str] | None,
    words: Sequence[str],
) -> Any:
    """Run a command that makes cells, and return these, or the path of the file if there is to be one."""
    with tempfile.TemporaryDirectory(prefix="scgpt-") as folder:
        path = Path(folder) / "made.h5ad" if output is None else Path(output)
        to_folder(command, cells, path, words)
        return _slots.read(path) if output is None else path
