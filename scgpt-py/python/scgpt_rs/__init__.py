"""scGPT for scanpy: an AnnData in, an AnnData out.

>>> import scgpt_rs
>>> cells = scgpt_rs.simulate(cells=60, genes=40, types=2)
>>> cells.shape
(60, 40)
"""

from . import pp, read, tl
from ._errors import ScgptError
from ._native import __version__
from ._result import Report, Result
from .embedder import Embedder
from .tl import simulate

__all__ = [
    "Embedder",
    "Report",
    "Result",
    "ScgptError",
    "__version__",
    "pp",
    "read",
    "simulate",
    "tl",
]
