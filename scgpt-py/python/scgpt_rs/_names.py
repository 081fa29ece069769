"""What files in a temporary folder are called to people, who never saw them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

#: What cells in memory are called.
CELLS = "adata"
#: Names of files that have paths in them end so.
TEXTS = (".html", ".json", ".md", ".toml")
#: What is called something else, and goes with the folder.
LOST = "a folder that is not kept"


class Names:
    """Names by the files of a folder; any other is called as the cells are.

    Attributes
    ----------
    folder : Path
        The folder.
    known : dict
        Names by the name of a file, or what comes before its first dot.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[str, str] = {}
        # JSON and pages may have two marks between the parts of a path.
        parts = [re.escape(part) for part in re.split(r"[\\/]+", str(folder))]
        self._path = re.compile(r"[\\/]+".join([*parts, r"(?P<file>[\w-]+(?:\.[\w-]+)*)"]))

    def _name(self, found: re.Match[str]) -> str:
        file = found["file"]
        return self.known.get(file) or self.known.get(file.partition(".")[0], CELLS)

    def of(self, value: Any) -> Any:
        """A value in which paths are names, also within what it holds; entries that are nothing but a lost path go."""
        if isinstance(value, str):
            return self._path.sub(self._name, value)
        if isinstance(value, Mapping):
            named = {key: self.of(it) for key, it in value.items()}
            return {key: it for key, it in named.items() if not (isinstance(it, str) and it == LOST)}
        if isinstance(value, list):
            return [self.of(it) for it in value]
        return value

    def take_in(self, output: Path) -> None:
        """Names take the places of paths in the texts of an output, a file or folder."""
        own = self.folder.name.encode()
        for file in output.rglob("*") if output.is_dir() else [output]:
            if file.name.endswith(TEXTS) and file.is_file() and own in file.read_bytes():
                partial = file.with_name(f".tmp-{file.name}")
                partial.write_text(self.of(file.read_text(encoding="utf-8")), encoding="utf-8")
                partial.replace(file)


@contextmanager
def temporary() -> Iterator[Names]:
    """A folder while the block lasts, and what its files are called."""
    with TemporaryDirectory(prefix="scgpt-") as folder:
        yield Names(Path(folder).resolve())
