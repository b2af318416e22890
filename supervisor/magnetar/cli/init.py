"""`magnetar init`."""

import re
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from magnetar.cli.errors import UsageError
from magnetar.cli.output import Output

_FUNCTION = '''"""A function of Pulsar: `process` is called with each message and returns what goes to the output topic."""


def process(input):
    return f"{{input}}!"
'''
_CLASS = '''"""A function of Pulsar with a context: its log, its settings, other topics, the message's properties."""

from pulsar import Function


class {class_name}(Function):
    def process(self, input, context):
        context.get_logger().info("message %s", context.get_message_id())
        return f"{{context.get_user_config_value('greeting')}}, {{input}}!"
'''
_CONFIG = """# What the worker is told about the function; `magnetar functions create --help` names every key's option.
name: {name}
className: {target}
py: {module}.py
inputs:
  - {name}-in
output: {name}-out
"""
_USER_CONFIG = """userConfig:
  greeting: Hello
"""


def init(
    output: Output,
    *,
    directory: Annotated[Path, Argument(help="Where to write; made where there is none.")] = Path("hello"),
    name: Annotated[str | None, Option("--name", help="The function's name [the directory's].")] = None,
    with_class: Annotated[bool, Option("--class", help="A class with a context instead of a plain function.")] = False,
) -> None:
    """Write a small function and its config to begin with; nothing that is there is overwritten."""
    called = name or directory.absolute().name
    module = re.sub(r"\W", "_", called)
    if not re.fullmatch(r"[A-Za-z_]\w*", module, re.ASCII):
        raise UsageError(f"{called!r} can't name a Python module: give --name with letters, digits and _")
    class_name = "".join(part.capitalize() for part in module.split("_")) or "Function"
    files = template(called, module, class_name if with_class else None)
    if taken := [str(directory / each) for each in files if (directory / each).exists()]:
        raise UsageError(f"{' and '.join(taken)} would be overwritten: choose another directory or name")
    directory.mkdir(parents=True, exist_ok=True)
    for each, text in files.items():
        (directory / each).write_text(text, encoding="utf-8")
    written = [str(directory / each) for each in files]
    config = directory / "function.yml"
    output.done(
        f"Wrote {' and '.join(written)}.\n"
        "Next, with `magnetar standalone` running:\n"
        f"  magnetar functions create --function-config-file {config}\n"
        f"  magnetar functions trigger --name {called} --trigger-value world",
        written=written,
    )


def template(name: str, module: str, class_name: str | None) -> dict[str, str]:
    """Return the files of a small function by name: its code, and its config in `function.yml`."""
    code = _CLASS.format(class_name=class_name) if class_name else _FUNCTION.format()
    target = f"{module}.{class_name}" if class_name else module
    config = _CONFIG.format(name=name, module=module, target=target) + (_USER_CONFIG if class_name else "")
    return {f"{module}.py": code, "function.yml": config}
