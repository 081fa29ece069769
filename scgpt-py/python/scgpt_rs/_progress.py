"""Progress on a terminal or in a notebook, by ``tqdm`` where it is installed."""

from __future__ import annotations

from typing import Any


class Progress:
    """A bar for each stage of a call; without ``tqdm`` there is none."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage: str | None = None

    def __call__(self, stage: str, done: int, of: int, unit: str) -> None:
        """Show that ``done`` of ``of`` are done."""
        if stage != self._stage:
            self.close()
            self._stage, self._bar = stage, _bar(stage, of, unit)
        if self._bar is not None:
            self._bar.total = of or None
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
        self._bar = self._stage = None


def _bar(stage: str, of: int, unit: str) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    # What takes no time needs no bar.
    return tqdm(total=of or None, desc=stage, unit=f" {unit}", leave=False, delay=1.0)
