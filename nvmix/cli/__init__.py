"""The command line ``nvmix``: fits, risks, samples, scores and plots from a shell.

Tables, and data that were asked for, are on standard output; notes are on standard error.
"""

from collections.abc import Sequence
from typing import Final

from nvmix.cli.output import flush, note, warnings_as_notes, without_reader
from nvmix.cli.parser import make_parser

_BAD_INPUT: Final = 2
# As shells have it for processes that SIGINT or SIGPIPE ended.
_INTERRUPTED: Final = 130
_NO_READER: Final = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on arguments, None for those of the process; returns the exit status.

    It is 0, or 1 if the (best) fit did not converge, or 2 for bad input and for want of memory.
    """
    try:
        try:
            options = make_parser().parse_args(arguments)
            with warnings_as_notes():
                status: int = options.run(options)
        finally:
            flush()
    except BrokenPipeError:
        without_reader()
        return _NO_READER
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (ImportError, OSError, ValueError) as error:
        note(f"nvmix: error: {error}")
        return _BAD_INPUT
    except MemoryError as error:
        note(f"nvmix: error: not enough memory{f': {error}' if str(error) else ''}")
        return _BAD_INPUT
    return status
