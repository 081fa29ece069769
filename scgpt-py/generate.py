"""Writes `python/scgpt_rs/tl.py`: a function a command, each option an argument of the same name.

python generate.py            # after the package was built; `--check` says whether it would change anything
"""

from __future__ import annotations

import argparse
import json
import keyword
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scgpt_rs._errors import as_python
from scgpt_rs._native import commands

OUT = Path(__file__).parent / "python" / "scgpt_rs" / "tl.py"

#: Options that functions do not have: what they print is a result, what they write is theirs, they are one process.
HIDDEN = {"help", "version", "json", "quiet", "no_report", "print_config", "cpu", "part", "reduce"}


@dataclass
class Function:
    """A function of the package.

    Attributes
    ----------
    name, words
        The function, and the command that it calls.
    kind
        ``slots``: results are slots of the cells. ``cells``: new cells are made. ``folder``: a file or folder is
        written. ``said``: nothing is.
    cells
        Arguments that take cells, by the flag of the command line that takes their path; an empty flag stands for
        their place.
    optional
        Those of them that need not be given.
    renamed
        Arguments of another name than their option.
    hidden
        Further options that the function does not have.
    several
        Whether the cells may have several modalities.
    whole
        Whether a file of all there is of the cells is written.
    """

    name: str
    words: str
    kind: str
    cells: dict[str, str] = field(default_factory=lambda: {"adata": ""})
    optional: set[str] = field(default_factory=set)
    renamed: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    several: bool = False
    whole: bool = False
    example: str = ""


FUNCTIONS = [
    Function(
        "embed",
        "embed",
        "slots",
        renamed={"key": "key_added"},
        hidden={"genes"},
        example='tl.embed(adata, model="scGPT_human")',
    ),
    Function("cells", "cells", "slots", example='tl.cells(adata, embedding="X_scGPT")'),
    Function(
        "annotate_train",
        "annotate train",
        "folder",
        example='tl.annotate_train(reference, label="cell_type", model="scGPT_human", output="types")',
    ),
    Function(
        "annotate_predict", "annotate predict", "slots", example='tl.annotate_predict(query, model="types", umap=True)'
    ),
    Function(
        "annotate_explain",
        "annotate explain",
        "folder",
        example='tl.annotate_explain(query, model="types", output="genes.csv")',
    ),
    Function(
        "map_index",
        "map index",
        "folder",
        example='tl.map_index(reference, model="scGPT_human", labels="cell_type", output="atlas")',
    ),
    Function("map_query", "map query", "slots", example='tl.map_query(query, index="atlas")'),
    Function(
        "integrate",
        "integrate",
        "slots",
        several=True,
        example='tl.integrate(adata, batch_key="batch", label="cell_type", method="harmony")',
    ),
    Function(
        "perturb_prepare",
        "perturb prepare",
        "cells",
        example='screen = tl.perturb_prepare(raw, condition_key="guide", control="non-targeting")',
    ),
    Function(
        "perturb_train",
        "perturb train",
        "folder",
        example='tl.perturb_train(screen, model="scGPT_human", output="screen")',
    ),
    Function(
        "perturb_predict",
        "perturb predict",
        "cells",
        cells={"controls": "--controls"},
        optional={"controls"},
        example='predicted = tl.perturb_predict(model="screen", genes=["KLF1,FOSB"])',
    ),
    Function(
        "perturb_reverse",
        "perturb reverse",
        "folder",
        example='tl.perturb_reverse(adata, model="screen", candidates="all", output="found.json")',
    ),
    Function(
        "grn_embedding",
        "grn embedding",
        "folder",
        cells={"adata": "--data"},
        optional={"adata"},
        whole=True,
        example='tl.grn_embedding(adata, model="scGPT_human", output="network").table("edges")',
    ),
    Function(
        "grn_attention",
        "grn attention",
        "folder",
        example='tl.grn_attention(adata, model="scGPT_human", condition="stim", control="ctrl", gene="STAT1", '
        'output="stat1")',
    ),
    Function("generate", "generate", "slots", example='tl.generate(adata, model="run/model")'),
    Function("pretrain", "pretrain", "folder", cells={}, example='tl.pretrain(data="shards", output="run")'),
    Function("convert", "convert", "folder", whole=True, example='tl.convert(adata, output="shards")'),
    Function(
        "evaluate_labels",
        "evaluate labels",
        "said",
        example='tl.evaluate_labels(adata, truth="cell_type", prediction="scgpt_prediction")',
    ),
    Function(
        "evaluate_integration",
        "evaluate integration",
        "said",
        example='tl.evaluate_integration(adata, embedding=["X_scGPT"], batch_key="batch", label="cell_type")',
    ),
    Function(
        "evaluate_perturb",
        "evaluate perturb",
        "said",
        cells={"predicted": "", "truth": "--truth"},
        example="tl.evaluate_perturb(predicted, truth=screen)",
    ),
    Function(
        "evaluate_grn",
        "evaluate grn",
        "said",
        cells={},
        renamed={"input": "edges"},
        example='tl.evaluate_grn(edges="network/edges.csv", truth="known.csv")',
    ),
    Function("simulate", "simulate", "cells", cells={}, example="adata = tl.simulate(cells=500, types=4)"),
]

#: What the command line says that is not so of functions, and what is. Each is said somewhere.
SAID = {
    r",? in a copy of the file$": "",
    r"The output is a copy of the file with\b": "Writes",
    r"The output is a copy with the embedding, .* are written beside it\.": "The page has gene coverage and a map.",
    r" With genes the output is a table .*$": "",
    r" With a name in \.csv, \.tsv or \.parquet it is a table of map and clusters\.": "",
    r"A page with (a map of the cells, .*) is written beside the output": r"The page has \1",
    r"as MuData \(\.h5mu\), as one file with var/feature_types, or as files .* by the names of cells": (
        "as MuData, or as an AnnData with var/feature_types"
    ),
    r"A copy of \.h5mu has (.*) at its root; several files become one \.h5ad\.": r"MuData has \1 at its root.",
    r"; of several files, `input` has their names, and `sample` those of sample": "",
    r"default: the output's name with \.model": "default: neither is kept",
    r"Writes perturb_processed\.h5ad of GEARS": "Makes cells as GEARS has them in perturb_processed.h5ad",
    r"Writes predicted cells": "Makes predicted cells",
    r"one file of cells: those of several inputs, .* sample tells them apart": "one file of cells",
    r"settings of a file or flag go first": "settings of a file or an argument go first",
}

HEAD = '''\
"""Tools: a function a command of the program, each option an argument of the same name.

Made by ``generate.py`` from the command line itself. Cells are an AnnData (or a MuData, where several modalities make
sense) or the path of a file; matrices in memory are read where they are. What is written into an AnnData is named in
the description of each function; given a path, functions return the cells in memory.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal

from . import _call
from ._arguments import Option
from ._arguments import default as _default
from ._arguments import options as _options
from ._arguments import record as _record
from ._cells import Cells
from ._result import Result

_Path = str | PathLike[str]

__all__ = {names}
'''


def as_said(text: str, found: set[str]) -> str:
    """A text of the command line as it is true of functions; what was replaced in it is added to ``found``."""
    text = as_python(" ".join(text.split()))
    for pattern, said in SAID.items():
        text, n = re.subn(pattern, said, text)
        found |= {pattern} if n else set()
    for function in FUNCTIONS:
        words = re.escape(function.words)
        # One word alone may be anything.
        text = re.sub(f"`{words}`", f"`tl.{function.name}`", text) if " " in function.words else text
    return text.strip()


def sentence(text: str) -> str:
    """A text with a full stop, unless it ends otherwise."""
    return text if text.endswith(("?", "!")) else text.rstrip(".") + "."


def described() -> dict[str, dict[str, Any]]:
    """All commands by their words."""
    return {" ".join(command["words"]): command for command in json.loads(commands())}


def annotation(option: dict[str, Any]) -> str:
    """The type of an argument."""
    kinds = {"int": "int", "float": "float", "path": "_Path", "str": "str", "bool": "bool", "flag": "bool"}
    kind = kinds[option["kind"]]
    if option["values"] and option["kind"] != "bool":
        kind = f"Literal[{', '.join(repr(it) for it in option['values'])}]"
    if option["is_repeated"] or option["delimiter"]:
        kind = f"{kind} | Sequence[{kind}]"
        if not option["values"]:
            kind += " | Mapping[str, Any]"
    if option["may_be_bare"] and option["kind"] != "bool":
        kind += " | bool"
    return kind


def default(option: dict[str, Any]) -> str:
    """The default of an argument, as it is written."""
    if option["kind"] == "flag":
        return "False"
    if not option["default"] or option["is_repeated"]:
        return "None"
    value = option["default"][0]
    return f"_default({value if option['kind'] in ('int', 'float') else repr(value)})"


def argument(name: str) -> str:
    """The name of an argument."""
    name = name.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


def text(function: Function, command: dict[str, Any], found: set[str]) -> str:
    """The source of a function."""
    taken = {flag.lstrip("-").replace("-", "_") for flag in function.cells.values()}
    hidden = HIDDEN | function.hidden | (taken - {""})
    if function.kind == "slots":
        hidden |= {"output"}
        # What may be there already is what is written beside the cells.
        if all(option["id"] != "artefact" for option in command["arguments"]):
            hidden |= {"force"}
    required, others, options = [], [], {}
    for option in command["arguments"]:
        is_positional = not option["long"] and not option["short"]
        name = argument(option["id"] if is_positional or not option["long"] else option["long"])
        name = function.renamed.get(name, name)
        if option["id"] in hidden or name in hidden or is_positional and "" in function.cells.values():
            continue
        if name == "output":
            is_free = function.kind in ("cells", "said")
            (others if is_free else required).append((name, "_Path", "None", option["help"]))
            continue
        options[name] = option
        entry = (name, annotation(option), default(option), option["help"])
        (required if option["is_required"] else others).append(entry)
    lines = [f"def {function.name}("]
    for cells in function.cells:
        lines.append(f"    {cells}: Cells | None = None," if cells in function.optional else f"    {cells}: Cells,")
    if function.kind == "slots":
        others += [
            ("report", "bool", "False", "Make the page, too, and return it with the result."),
            ("copy", "bool", "False", "Return a copy of the cells, and leave these as they are."),
        ]
    lines.append("    *,")
    lines += [f"    {name}: {kind}," for name, kind, *_ in required]
    for name, kind, value, _ in others:
        is_free = value == "None" or name == "layer"
        lines.append(f"    {name}: {kind}{' | None' if is_free else ''} = {'None' if is_free else value},")
    returns = {"slots": "Any", "cells": "Any", "folder": "Result", "said": "Result"}[function.kind]
    lines.append(f") -> {returns}:")
    lines += docstring(function, command, required, others, found)
    known = [f'            "{name}": {option_text(option)},' for name, option in options.items()]
    lines += [
        "    given = dict(locals())",
        "    words = _options(",
        "        {",
        *known,
        "        },",
        "        given,",
        "    )",
    ]
    lines.append(f"    return {called(function, command)}")
    return "\n".join(lines)


def option_text(option: dict[str, Any]) -> str:
    """How an option is spelled, as source."""
    flag = f"--{option['long']}" if option["long"] else f"-{option['short']}" if option["short"] else ""
    parts = [json.dumps(flag)]
    # A truth value is spelled out: it may be one that is not so by default.
    if option["kind"] == "flag" or option["may_be_bare"] and option["kind"] != "bool":
        parts.append("is_bare=True")
    if option["delimiter"]:
        parts.append(f'delimiter="{option["delimiter"]}"')
    return f"Option({', '.join(parts)})"


def renames(function: Function) -> dict[str, str]:
    """Arguments by their options, where they are called otherwise."""
    usual = {"": "adata"}
    cells = {flag.lstrip("-"): name for name, flag in function.cells.items()}
    cells = {option: name for option, name in cells.items() if name != usual.get(option, option)}
    return {**cells, **{name.replace("_", "-"): renamed for name, renamed in function.renamed.items()}}


def called(function: Function, command: dict[str, Any]) -> str:
    """The call that does the work."""
    words = json.dumps(function.words.split())
    more = ", layer=layer" if any(option["id"] == "layer" for option in command["arguments"]) else ""
    more += f", renamed={json.dumps(renames(function))}" if renames(function) else ""
    more += ", whole=True" if function.whole else ""
    if function.kind == "slots":
        can_report = any(option["id"] == "no_report" for option in command["arguments"])
        return (
            f'_call.on_cells({words}, adata, words, record=_record("{function.name}", given){more}, '
            f"report=report, copy=copy, can_report={can_report})"
        )
    cells = ", ".join(f'"{flag}": {name}' for name, flag in function.cells.items())
    if function.kind == "cells":
        return f"_call.new_cells({words}, {{{cells}}}, output, words{more})"
    has_output = any(option["id"] == "output" for option in command["arguments"])
    return f"_call.to_folder({words}, {{{cells}}}, {'output' if has_output else None}, words{more})"


def docstring(
    function: Function,
    command: dict[str, Any],
    required: list[tuple[str, str, str, str | None]],
    others: list[tuple[str, str, str, str | None]],
    found: set[str],
) -> list[str]:
    """The lines of a docstring, as numpydoc has them."""
    first, _, rest = (command["about"] or function.name).partition("\n\n")
    lines = [f'"""{sentence(as_said(first, found))}', ""]
    for paragraph in filter(None, rest.split("\n\n")):
        lines += [*textwrap.wrap(as_said(paragraph, found), 108), ""]
    lines += ["Parameters", "----------"]
    for cells, flag in function.cells.items():
        kind = "AnnData, MuData or path" if function.several else "AnnData or path"
        lines.append(f"{cells} : {kind}{', optional' if cells in function.optional else ''}")
        of = next((it["help"] for it in command["arguments"] if flag and it["long"] == flag.lstrip("-")), None)
        lines += indented(as_said(of or "Cells in memory, or a file or folder of them", found))
    is_optional = [(False, it) for it in required] + [(it[2] == "None", it) for it in others]
    for may_lack, (name, kind, _, about) in is_optional:
        kind = re.sub(r"Literal\[([^]]*)\]", r"{\1}", kind.replace("_Path", "path")).replace(" | ", " or ")
        lines.append(f"{name} : {kind}{', optional' if may_lack else ''}")
        lines += indented(as_said(about or "", found))
    returned = {
        "slots": [
            "None, AnnData or Result",
            "    The cells if ``copy`` is set or they are read from a file, the result if ``report`` is, else nothing.",
        ],
        "cells": ["AnnData or Path", "    The cells, or the path of ``output`` if it is given."],
        "folder": ["Result", "    What was found; ``output`` is where it was written."],
        "said": ["Result", "    What was found."],
    }[function.kind]
    lines += [
        "",
        "Returns",
        "-------",
        *returned,
        "",
        "Examples",
        "--------",
        f">>> {function.example}  # doctest: +SKIP",
        '"""',
    ]
    return [f"    {line}".rstrip() for line in lines]


def indented(text: str) -> list[str]:
    """A sentence about an argument, in lines."""
    return textwrap.wrap(sentence(text), 104, initial_indent="    ", subsequent_indent="    ")


def main() -> int:
    """Write the module, or say whether it would change."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    known, found = described(), set[str]()
    names = json.dumps(sorted(function.name for function in FUNCTIONS), indent=4).replace("\n]", ",\n]")
    parts = [HEAD.replace("{names}", names)]
    parts += [text(function, known[function.words], found) for function in FUNCTIONS]
    if found != set(SAID):
        raise SystemExit(f"the command line does not say any more: {', '.join(set(SAID) - found)}")
    made = "\n\n".join(part + "\n" for part in parts)
    formatted = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--line-length", "120", "-"],
        input=made,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if check:
        return 0 if OUT.read_text(encoding="utf-8") == formatted else 1
    OUT.write_text(formatted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
