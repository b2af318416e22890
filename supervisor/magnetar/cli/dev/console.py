"""What `magnetar dev` prints: each line behind the name of its function, in a colour of its own on a terminal."""

import os

import typer

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue")


class Console:
    """One writer of standard output for all functions."""

    def __init__(self) -> None:
        self._colours: dict[str, str] = {}
        self._plain = True if os.environ.get("NO_COLOR") else None

    def say(self, name: str, text: str) -> None:
        """Print what became of a function."""
        self._print(name, typer.style(text, bold=True))

    def problem(self, name: str, text: str) -> None:
        """Print what is wrong with a function."""
        self._print(name, typer.style(text, fg="red"))

    def line(self, name: str, text: str) -> None:
        """Print a line of a function's log."""
        self._print(name, text)

    def plain(self, text: str) -> None:
        """Print a line of the command itself."""
        typer.echo(text)

    def _print(self, name: str, text: str) -> None:
        colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
        width = max(map(len, self._colours))
        typer.echo(f"{typer.style(f'{name:<{width}} |', fg=colour)} {text}", color=not self._plain and None)
