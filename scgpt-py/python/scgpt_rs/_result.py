"""What a function found: numbers, tables, and a page."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


@dataclass(frozen=True)
class Report:
    """A page about a result, which shows itself in a notebook.

    Attributes
    ----------
    html : str
        The page, with everything it needs inside.
    """

    html: str = field(repr=False)

    def save(self, path: str | Path) -> None:
        """Write the page to a file."""
        Path(path).write_text(self.html, encoding="utf-8")

    def _repr_html_(self) -> str:
        page = html.escape(self.html, quote=True)
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 40em; border: 0"></iframe>'


@dataclass(frozen=True)
class Result:
    """What a function found.

    Attributes
    ----------
    values : dict
        Numbers and names, as ``--json`` of the command line prints them; also by ``result["name"]``.
    report : Report or None
        The page, if one was made.
    output : Path or None
        The file or folder that was written, such as an artefact.
    adata : AnnData or None
        The copy of the cells, if one was asked for.
    """

    values: dict[str, Any] = field(repr=False)
    report: Report | None = field(default=None, repr=False)
    output: Path | None = None
    adata: AnnData | None = field(default=None, repr=False)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    @property
    def warnings(self) -> list[str]:
        """What to know before believing the result."""
        return list(self.values.get("warnings", []))

    def tables(self) -> list[str]:
        """Names of the tables in the folder that was written, for :meth:`table`."""
        if self.output is None or not self.output.is_dir():
            return []
        found = (path.relative_to(self.output) for path in self.output.rglob("*.csv"))
        return sorted(path.with_suffix("").as_posix() for path in found)

    def table(self, name: str) -> pd.DataFrame:
        """One of the tables in the folder that was written."""
        import pandas as pd

        if self.output is None or name not in self.tables():
            raise KeyError(f"{name!r}: there are {', '.join(self.tables()) or 'no tables'}")
        return pd.read_csv(self.output / f"{name}.csv")

    def _repr_html_(self) -> str:
        if self.report is not None:
            return self.report._repr_html_()
        return f"<pre>{html.escape(json.dumps(self.values, indent=2))}</pre>"
