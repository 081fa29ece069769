"""What is said when something is wrong."""

import re

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
