"""Calls of commands: what they write becomes slots or results."""

from __future__ import annotations

import html
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from . import _slots
from ._cells import Cells, is_path, lent
from ._errors import ScgptError, as_python
from ._lines import as_call
from ._names import CELLS, LOST, Names, temporary
from ._native import call
from ._progress import Progress
from ._result import Report, Result

logger = logging.getLogger("scgpt_rs")

#: The words that a command line of this program begins with.
_PROGRAM = (sys.executable, "-m", "scgpt_rs")
#: Exit codes: of a program that was asked to stop, and of a wrong command line.
_INTERRUPTED, _USAGE = 130, 2
#: The artefact beside an output, unless it has a place of its own.
_ARTEFACT = "written.model"
#: What of an artefact embeds further cells.
_LEARNED = {"model.safetensors": "the network is", "components.json": "the components are"}


def run(
    words: Sequence[str],
    names: Names | None = None,
    *,
    renamed: Mapping[str, str] | None = None,
    takes_slots: bool = False,
) -> dict[str, Any]:
    """Run a command line, and return the JSON that it prints.

    Parameters
    ----------
    words
        The command line without the name of the program.
    names
        What files are called in messages.
    renamed
        Arguments by their options, where they are called otherwise.
    takes_slots
        Whether an output of cells is to have their names and what was found of them alone.

    Raises
    ------
    ScgptError
        If an input or a setting is wrong, or an output cannot be written.
    KeyboardInterrupt
        If the user stopped it.
    """
    told: list[str] = []

    def named(value: Any) -> Any:
        return value if names is None else names.of(value)

    def tell(line: str) -> None:
        line = named(line)
        told.append(line)
        is_warning = line.startswith("warning: ")
        if not line.startswith(("error: ", "hint: ", "  caused by")):
            logger.log(logging.WARNING if is_warning else logging.INFO, "%s", as_python(line, renamed))

    progress = Progress()
    try:
        code, printed = call(["scgpt", *words, "--json"], _PROGRAM, tell, progress, takes_slots)
    finally:
        progress.close()
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    if code == _USAGE:
        message = "\n".join(told)
        for rest in ("\n\nUsage: ", "\n\nFor more information, try "):
            message, _, _ = message.partition(rest)
        raise ScgptError(message.removeprefix("error: ").strip(), renamed=renamed)
    answer: dict[str, Any] = json.loads(printed) if printed.strip() else {}
    if code != 0:
        error = named(answer.get("error", {"message": "\n".join(told)}))
        message = "\n".join([error["message"], *(f"caused by: {it}" for it in error.get("causes", []))])
        raise ScgptError(message, error.get("hint"), renamed)
    if "result" in answer:
        result = answer["result"] = named(answer["result"])
        if "better" in result:
            # Pages have it as it was said.
            answer["line"] = result["better"]
            result["better"] = _again(answer["line"], renamed)
    return answer


def _again(line: str, renamed: Mapping[str, str] | None) -> str:
    again = as_call(line, renamed)
    return f"scgpt_rs.{again}" if again.startswith("tl.") else again


def _copied(adata: Any) -> Any:
    return adata.to_memory() if getattr(adata, "isbacked", False) else adata.copy()


def _report(path: str | None, names: Names, answer: Mapping[str, Any]) -> Report | None:
    """The page, on which a command line that is better is a call, too."""
    if path is None:
        return None
    page = names.of(Path(path).read_text(encoding="utf-8"))
    if "line" in answer:
        line, again = (html.escape(it, quote=False) for it in (answer["line"], answer["result"]["better"]))
        page = page.replace(line.replace('"', "&quot;"), again)
    return Report(page)


def on_cells(
    command: Sequence[str],
    adata: Cells,
    words: Sequence[str],
    *,
    record: str,
    layer: str | None = None,
    renamed: Mapping[str, str] | None = None,
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
    with temporary() as names, ExitStack() as stack:
        path = stack.enter_context(lent(adata, names.folder, "cells", layer=layer))
        is_file = is_path(adata)
        output = names.folder / ("written.h5mu" if is_file and path.endswith(".h5mu") else "written.h5ad")
        names.known[_ARTEFACT] = LOST
        quiet = [] if report or not can_report else ["--no-report"]
        line = [*command, path, "-o", fspath(output), *quiet, *words]
        answer = run(line, names, renamed=renamed, takes_slots=not is_file)
        if not output.exists():
            # A training that was planned, not run.
            return Result(answer["result"])
        for file, what in _LEARNED.items():
            if (names.folder / _ARTEFACT / file).exists():
                logger.info("%s not kept: artefact= names a folder for what embeds further cells", what)
        if is_file:
            cells = _slots.read(output, names)
        else:
            cells = _copied(adata) if copy else adata
            _slots.take(cells, output, answer.get("slots", []), record, names)
        if report:
            new = cells if copy or is_file else None
            return Result(answer["result"], _report(answer.get("report"), names, answer), adata=new)
    return cells if copy or is_file else None


def to_folder(
    command: Sequence[str],
    cells: Mapping[str, Cells | None],
    output: str | PathLike[str] | None,
    words: Sequence[str],
    *,
    layer: str | None = None,
    renamed: Mapping[str, str] | None = None,
    whole: bool = False,
    names: Names | None = None,
) -> Result:
    """Run a command that writes a file or folder, or nothing, beside what it says.

    Parameters
    ----------
    cells
        Cells by the option that takes them; an empty one stands for their place on the command line, also in ``renamed``.
    whole
        Whether all that is known of the cells is written, too.
    names
        Of a temporary folder, if there is one already.
    """
    with ExitStack() as stack:
        names = names or stack.enter_context(temporary())
        line = list(command)
        for number, (flag, one) in enumerate(cells.items()):
            if one is not None:
                name = f"cells{number or ''}"
                path = stack.enter_context(lent(one, names.folder, name, layer=layer, whole=whole))
                line += [f"{flag}={path}" if flag else path]
                option = flag.lstrip("-")
                names.known[name] = (renamed or {}).get(option, option or CELLS)
        line += [] if output is None else ["-o", fspath(output)]
        answer = run([*line, *words], names, renamed=renamed)
        where = None if output is None else Path(output)
        page = answer.get("report")
        if not all(one is None or is_path(one) for one in cells.values()):
            for written in filter(None, (where, page)):
                names.take_in(Path(written))
        if page is None and where is not None and (where / "report.html").is_file():
            page = fspath(where / "report.html")
        return Result(answer["result"], _report(page, names, answer), output=where)


def new_cells(
    command: Sequence[str],
    cells: Mapping[str, Cells | None],
    output: str | PathLike[str] | None,
    words: Sequence[str],
    *,
    layer: str | None = None,
    renamed: Mapping[str, str] | None = None,
    whole: bool = False,
) -> Any:
    """Run a command that makes cells, and return these, or the path of the file if there is to be one."""
    with temporary() as names:
        path = names.folder / "made.h5ad" if output is None else Path(output)
        to_folder(command, cells, path, words, layer=layer, renamed=renamed, whole=whole, names=names)
        return _slots.read(path, names) if output is None else path
