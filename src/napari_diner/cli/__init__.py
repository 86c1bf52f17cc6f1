"""The command line: ``napari-diner``. Starting it loads neither torch nor Qt; commands load what they need."""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command that the arguments of the process name, and exit."""
    signal.signal(signal.SIGTERM, _terminate)
    # what a decoder logs about a damaged file is said by our own error
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    try:
        # imported here so that a Ctrl-C while it loads ends as quietly as a later one
        from napari_diner.cli.app import execute

        code = execute(sys.argv[1:])
    except KeyboardInterrupt as interruption:
        print(f"napari-diner: interrupted; {str(interruption) or 'nothing was written'}", file=sys.stderr)
        code = 130
    sys.exit(code)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
