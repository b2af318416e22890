"""`functions validate`."""

from magnetar.cli.functions.options import FunctionOptions
from magnetar.cli.output import Output, warn


def validate(function: FunctionOptions, output: Output) -> None:
    """Judge a config and its package as Magnetar's worker would, without a worker: nothing is sent.

    Only a worker can tell whether the tenant, the namespace and a package behind a URL are there.
    """
    from magnetar.cli.functions.config import read_given  # noqa: PLC0415 - keeps help quick
    from magnetar.model import infer, parse_options  # noqa: PLC0415
    from magnetar.model import validate as judge  # noqa: PLC0415
    from magnetar.packages.inspect import check_package, check_shares_process  # noqa: PLC0415

    given = read_given(function)
    for sentence in given.warnings:
        warn(sentence)
    config = infer(given.config.with_changes(**given.name._asdict()))
    judge(config)
    if given.file and config.runtime:
        check_package(given.file, given.file.name, config.class_name, config.runtime)
        if parse_options(config.custom_runtime_options).runtime == "thread":
            check_shares_process(given.file, given.file.name)
    output.done(f"{given.name.fqfn} is valid.", valid=given.name.fqfn, warnings=list(given.warnings))
