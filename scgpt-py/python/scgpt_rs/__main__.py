"""The command-line program: ``python -m scgpt_rs embed cells.h5ad …``."""

import sys

from ._native import program


def main() -> int:
    """Run the command line of this process, and return its exit code."""
    words = [sys.executable, "-m", "scgpt_rs"]
    return program(["scgpt", *sys.argv[1:]], words)


if __name__ == "__main__":
    sys.exit(main())
