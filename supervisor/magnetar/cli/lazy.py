"""Typer groups that import a command when it is called, so that help and completion stay quick."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from magnetar.cli.options import BOOLEAN
from magnetar.cli.tree import Branch, Verb

_TRUTHS = frozenset({"true", "false"})
_PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}
_CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
_OWN_CONTEXT = "_context"


class PulsarCommand(TyperCommand):
    """A command whose boolean options may be given with a value or without, as Pulsar's tools allow in turn."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse after each boolean option has its value."""
        return super().parse_args(ctx, with_truths(args, _boolean_names(self.params)))


class LazyGroup(TyperGroup):
    """A group that knows its commands by name and help; the one that is called is imported then."""

    tree: Mapping[str, Verb | Branch]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse after each boolean option has its value."""
        return super().parse_args(ctx, with_truths(args, _boolean_names(self.params)))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the imported command in the place of the one that stood for it."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and load(found.name or "", self.tree[found.name or ""]), rest


def _boolean_names(params: Sequence[Any]) -> set[str]:
    return {name for each in params if each.metavar == BOOLEAN for name in each.opts}


def with_truths(arguments: Sequence[str], names: set[str]) -> list[str]:
    """Return arguments in which every named option without a truth after it is given `true`."""
    found: list[str] = []
    for argument, after in pairwise([*arguments, ""]):
        alone = argument in names and after.lower() not in _TRUTHS
        found.append(f"{argument}=true" if alone else argument)
    return found


def group(name: str, branch: Branch, options: Callable[..., None] | None = None) -> LazyGroup:
    """Return the group of a branch; `options` is called with the group's own options before its commands."""
    app = typer.Typer(
        name=name,
        cls=LazyGroup,
        help=branch.help,
        no_args_is_help=True,
        add_completion=options is not None,
        context_settings=_CONTEXT,
        **_PLAIN,
    )
    app.callback()(flat(options) if options else lambda: None)
    made = typer.main.get_command(app)
    assert isinstance(made, LazyGroup)
    made.tree = branch.children
    for child, what in branch.children.items():
        made.add_command(TyperCommand(child, help=what.help, hidden=what.hidden), child)
    return made


def load(name: str, what: Verb | Branch) -> Any:
    """Import a verb, or make the group of a branch."""
    if isinstance(what, Branch):
        return group(name, what)
    module_name, _, function = what.target.partition(":")
    module = import_module(module_name)
    run: Callable[..., None] = getattr(module, function)
    settings = {**_CONTEXT, **getattr(module, "CONTEXT", {})}
    app = typer.Typer(add_completion=False, **_PLAIN)
    app.command(name, cls=PulsarCommand, hidden=what.hidden, context_settings=settings)(flat(run))
    return typer.main.get_command(app)


def flat(run: Callable[..., None]) -> Callable[..., None]:
    """Return a function for typer: each dataclass among the parameters is spread into options of its fields.

    A field that was not given takes what the same dataclass was given before the command: `magnetar --admin-url … functions
    list` means the same as `magnetar functions list --admin-url …`.
    """
    hints = get_type_hints(run, include_extras=True)
    groups = {name: hints[name] for name in inspect.signature(run).parameters if dataclasses.is_dataclass(hints[name])}

    own_context = next((name for name, hint in hints.items() if hint is typer.Context), None)

    @functools.wraps(run)
    def call(**given: Any) -> None:
        context = given[own_context] if own_context else given.pop(_OWN_CONTEXT)
        before: dict[type, object] = context.obj or {}
        for name, kind in groups.items():
            own = {field.name: given.pop(field.name) for field in dataclasses.fields(kind)}
            given[name] = _over(kind(**own), before.get(kind))
        context.obj = before | {kind: given[name] for name, kind in groups.items()}
        run(**given)

    parameters = _parameters(run, hints, groups)
    if own_context is None:
        parameters.append(inspect.Parameter(_OWN_CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))
    call.__annotations__ = {}
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return call


def _over(own: Any, before: Any) -> Any:
    if before is None:
        return own
    missing = [field.name for field in dataclasses.fields(own) if getattr(own, field.name) is None]
    return dataclasses.replace(own, **{name: getattr(before, name) for name in missing})


def _parameters(
    run: Callable[..., None], hints: Mapping[str, Any], groups: Mapping[str, type]
) -> list[inspect.Parameter]:
    keyword = inspect.Parameter.KEYWORD_ONLY
    found: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(run).parameters.items():
        if name not in groups:
            found.append(parameter.replace(kind=keyword, annotation=hints[name]))
            continue
        types = get_type_hints(groups[name], include_extras=True)
        found += [
            inspect.Parameter(field.name, keyword, default=field.default, annotation=types[field.name])
            for field in dataclasses.fields(groups[name])
        ]
    return found
