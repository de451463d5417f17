"""What `--help` of every command says."""

import re
from argparse import SUPPRESS, Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterator

import pytest
from django.core.management import BaseCommand, get_commands, load_command_class

OURS = sorted(name for name, app in get_commands().items() if app == "recognizer")
# These have a folder in one command, and a file or a number in another.
FREE = {"--output", "--run"}


def parsers(name: str) -> Iterator[tuple[str, ArgumentParser]]:
    """A command's parser and those of its actions, each with what calls it."""
    whole = load_command_class("recognizer", name).create_parser("manage.py", name)
    yield name, whole
    for action in whole._actions:
        if isinstance(action, _SubParsersAction):
            yield from ((f"{name} {part}", parser) for part, parser in action.choices.items())


EVERY = [pair for name in OURS for pair in parsers(name)]
DJANGOS = {action.dest for action in BaseCommand().create_parser("", "")._actions}


def own(parser: ArgumentParser) -> list[Action]:
    """Its arguments but for Django's."""
    return [
        action
        for action in parser._actions
        if action.dest not in DJANGOS and not isinstance(action, _SubParsersAction)
    ]


def test_every_command_is_looked_at() -> None:
    assert {"average", "dataset", "evaluate", "recognize", "train"} <= set(OURS)
    assert {"dataset pack", "models rollback"} <= {called for called, _ in EVERY}


@pytest.mark.parametrize(("called", "parser"), EVERY, ids=[called for called, _ in EVERY])
def test_it_says_what_it_does_and_what_it_takes(called: str, parser: ArgumentParser) -> None:
    assert parser.description
    assert parser.format_help()  # A lone % would fail only here.
    for action in own(parser):
        said = action.help
        assert said, f"{called}: {action.dest}"
        assert said != SUPPRESS
        # More than its default alone.
        assert re.match(r"[a-zA-Z*]", said), f"{called}: {action.dest}"


def test_an_option_takes_the_same_thing_in_every_command() -> None:
    taken: dict[str, set[str]] = {}
    for _, parser in EVERY:
        for action in own(parser):
            for option in action.option_strings:
                if action.nargs != 0 and action.choices is None and option not in FREE:
                    shown = str(action.metavar or action.dest.upper())
                    taken.setdefault(option, set()).add(shown)
    assert {option: shown for option, shown in taken.items() if len(shown) > 1} == {}
    # Whole numbers are N.
    assert {taken[option].pop() for option in ("--seed", "--threads", "--size", "--epochs")} == {
        "N"
    }


def test_options_with_a_default_name_it() -> None:
    silent = {
        f"{called} {action.dest}"
        for called, parser in EVERY
        for action in own(parser)
        # Nothing, no list and no flag need no words.
        if action.default not in (None, "", [], False, SUPPRESS)
        and "%(default)s" not in (action.help or "")
    }
    assert silent == {"train config"}  # It names the file without its folder.
