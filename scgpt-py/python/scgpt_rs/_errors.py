"""What is said when something is wrong."""

import re
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: An option as the command line spells it, in a message.
_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")


class ScgptError(ValueError):
    """An input or a setting is wrong, or an output cannot be written.

    Attributes
    ----------
    message : str
        What is wrong, and where.
    hint : str or None
        What can be done about it.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.message = as_python(message)
        self.hint = None if hint is None else as_python(hint)
        super().__init__(self.message if self.hint is None else f"{self.message}\nhint: {self.hint}")

    def __reduce__(self) -> tuple[type["ScgptError"], tuple[str, str | None]]:
        return ScgptError, (self.message, self.hint)


def as_python(text: str) -> str:
    """Options called as arguments of functions are: ``--max-length`` is ``max_length``."""
    return _FLAG.sub(lambda found: found[1].replace("-", "_"), text)


def called(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """What a function returns; what it finds wrong is a :class:`ScgptError`."""
    try:
        return function(*args, **kwargs)
    except ValueError as error:
        raise ScgptError(str(error)) from None
