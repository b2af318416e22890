"""`magnetar broker`: the broker's own command, arguments and all."""

import typer

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def broker(context: typer.Context) -> None:
    """Run the embedded broker alone: a small Pulsar on this host."""
    from magnetar_broker.main import main  # noqa: PLC0415 - imported when it runs

    raise typer.Exit(main(context.args))
