"""The parser of the command line: each command adds its own arguments."""

import argparse

from nvmix import __version__
from nvmix.cli import compare, fit, info, plot, risk, sample, score
from nvmix.cli.options import STATUS

_COMMANDS = (fit, compare, risk, sample, score, plot, info)


def make_parser() -> argparse.ArgumentParser:
    """The parser, whose options have the command's function as `run`."""
    parser = argparse.ArgumentParser(
        prog="nvmix", description="Fit normal variance-mean mixtures by EM.", epilog=STATUS
    )
    parser.add_argument("--version", action="version", version=f"nvmix {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for command in _COMMANDS:
        command.add_to(commands)
    return parser
