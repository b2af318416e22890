"""`functions manifests`."""

import sys

from magnetar.cli.connection import Connection, ask
from magnetar.cli.options import Name
from magnetar.cli.output import Format, Output


def manifests(name: Name, connection: Connection, output: Output) -> None:
    """Print what a function is in Kubernetes, ready for `kubectl diff -f -`; nothing is applied.

    It is YAML, or with --format json one List.
    """
    import yaml  # noqa: PLC0415 - keeps help quick

    function = name.resolve()
    found = ask(connection, lambda worker: worker.magnetar.manifests(function))
    if output.format is Format.JSON:
        output.json({"apiVersion": "v1", "kind": "List", "items": found})
        return
    sys.stdout.write(yaml.safe_dump_all(found, sort_keys=False, allow_unicode=True, width=120))
