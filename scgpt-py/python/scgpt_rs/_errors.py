"""What is said when something is wrong."""

import re
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from ._lines import as_call

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: A command line in a message, or an option as it is spelled there.
_SPELLED = re.compile(r"`(scgpt [^`]+)`|(?<![\w-])(?:--([a-z][a-z0-9-]*)|-(o)(?![\w-]))")
#: Options that have one letter, too.
_SHORT = {"o": "output"}


class ScgptError(ValueError):
    """An input or a setting is wrong, or an output cannot be written.

    Attributes
    ----------
    message : str
        What is wrong, and where.
    hint : str or None
        What can be done about it.
    """

    def __init__(self, message: str, hint: str | None = None, renamed: Mapping[str, str] | None = None) -> None:
        self.message = as_python(message, renamed)
        self.hint = None if hint is None else as_python(hint, renamed)
        super().__init__(self.message if self.hint is None else f"{self.message}\nhint: {self.hint}")

    def __reduce__(self) -> tuple[type["ScgptError"], tuple[str, str | None]]:
        return ScgptError, (self.message, self.hint)


def as_python(text: str, renamed: Mapping[str, str] | None = None) -> str:
    """Options called as arguments of functions are, and commands as functions: ``--max-length`` is ``max_length``.

    Parameters
    ----------
    text
        A message.
    renamed
        Arguments by their options, without dashes in front, where they are called otherwise.
    """

    def called(found: re.Match[str]) -> str:
        if found[1]:
            return f"`{as_call(found[1], renamed)}`"
        option = found[2] or _SHORT[found[3]]
        return (renamed or {}).get(option, option.replace("-", "_"))

    return _SPELLED.sub(called, text)


def called(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """What a function returns; what it finds wrong is a :class:`ScgptError`."""
    try:
        return function(*args, **kwargs)
    except ValueError as error:
        raise ScgptError(str(error)) from None
