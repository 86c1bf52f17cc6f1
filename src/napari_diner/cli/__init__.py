"""The command line: ``napari-diner``. Starting it loads neither torch nor Qt; commands load what they need."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

# Everything is imported inside `main`, so that a Ctrl-C during the import is handled like a later one.


def main() -> None:
    """Run the command that the arguments of the process name, and exit."""
    import sys

    try:
        import logging
        import signal

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        closed = getattr(signal, "SIGHUP", signal.SIGTERM)
        if signal.getsignal(closed) != signal.SIG_IGN:  # as with nohup
            signal.signal(closed, signal.default_int_handler)
        _open_streams()
        # our own error reports what a decoder logs about a damaged file
        logging.getLogger("tifffile").addHandler(logging.NullHandler())
        # where its cache is does not matter
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        from napari_diner.cli.app import execute

        code = execute(sys.argv[1:])
        # the command is done; a Ctrl-C during the shutdown of Python would change the exit code
        for number in (signal.SIGINT, signal.SIGTERM, closed):
            signal.signal(number, signal.SIG_IGN)
    except BaseException as error:
        if not is_interruption(error):
            raise
        told = str(error) if isinstance(error, KeyboardInterrupt) else ""
        print(f"napari-diner: interrupted; {told or 'nothing was written'}", file=sys.stderr)
        code = 130
    sys.exit(code)


def is_interruption(error: BaseException) -> bool:
    """Return whether an error is due to Ctrl-C, which libraries in other languages turn into errors of their own."""
    return (
        isinstance(error, KeyboardInterrupt)
        or isinstance(error.__cause__, KeyboardInterrupt)
        or (isinstance(error, Exception) and KeyboardInterrupt.__name__ in str(error))
    )


def _open_streams() -> None:
    """Reopen closed standard streams, so that no output file gets the descriptor of one of them.

    Characters that a stream cannot encode, such as those of the name of a file, are written as question marks. Messages
    that cannot be written, as with a log on a full disk, are dropped, since they should not end a run.
    """
    import io
    import os
    import sys

    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")

    class Messages(io.FileIO):
        def write(self, content: Buffer, /) -> int:
            try:
                return super().write(content)
            except OSError:
                return memoryview(content).nbytes

    stream = sys.stderr
    # consoles of Windows are no files
    if os.name == "posix" and stream is sys.__stderr__ and stream is not None:
        raw = io.BufferedWriter(Messages(stream.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, stream.encoding, stream.errors, line_buffering=True)
