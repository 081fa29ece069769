"""The command-line program: ``python -m scgpt_rs embed cells.h5ad …``."""

import signal
import sys

from ._native import program


def main() -> int:
    """Run the command line of this process, and return its exit code."""
    # Python would hear Ctrl-C once the program is done; what has to clean up listens itself.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    words = [sys.executable, "-m", "scgpt_rs"]
    return program(["scgpt", *sys.argv[1:]], words)


if __name__ == "__main__":
    sys.exit(main())
