import re
from pathlib import Path

import pytest
from magnetar_instance.arguments import UsageError, parse
from magnetar_instance.errors import BootError

REQUIRED = {
    "function_details": '\'{"tenant":"t","namespace":"n","name":"f","source":{"timeoutMs":"30000"}}\'',
    "py": "/code/f.py",
    "instance_id": "2",
    "function_id": "id",
    "function_version": "version",
    "pulsar_serviceurl": "pulsar://h:6650",
    "port": "1",
    "metrics_port": "2",
    "max_buffered_tuples": "1024",
    "logging_directory": "/logs/functions",
    "logging_file": "f",
    "logging_config_file": "",
    "expected_healthcheck_interval": "-1",
    "cluster_name": "c",
}


def line(**changes: str | None) -> list[str]:
    given = {**REQUIRED, **changes}
    return [part for name, value in given.items() if value is not None for part in (f"--{name}", value)]


def test_pulsars_command_line_is_read() -> None:
    """Quotes that no shell removed, numbers as strings, and the log file below the function's name."""
    settings, host = parse(line())
    assert (settings.fqiid, settings.code, settings.cluster) == ("t/n/f:2", Path("/code/f.py"), "c")
    assert settings.details.source.timeoutMs == 30_000
    assert settings.log_file == Path("/logs/functions/t/n/f/f-2.log")
    assert (host.port, host.metrics_port, host.health_check_interval, host.logging_config) == (1, 2, -1, None)


def test_flags_may_be_shortened_as_pulsars_worker_does() -> None:
    """The worker sends --tls_allow_insecure for the parser's --tls_allow_insecure_connection."""
    settings, _ = parse([*line(), "--tls_allow_insecure", "true", "--hostname_verification_enabled", "false"])
    assert settings.auth.tls_allow_insecure
    assert not settings.auth.tls_hostname_verification


def test_any_text_means_true_where_pulsar_says_so() -> None:
    """Its parser has type=bool for the installation of dependencies, to which "False" is true."""
    assert parse([*line(), "--install_usercode_dependencies", "False"])[0].dependencies.install
    assert not parse(line())[0].dependencies.install


def test_a_config_file_fills_what_the_command_line_leaves_out(tmp_path: Path) -> None:
    """An INI file with the same keys; what stands on the command line wins."""
    file = tmp_path / "instance.ini"
    file.write_text("[DEFAULT]\ncluster_name = other\nport = 7\n")
    settings, host = parse([*line(port=None), "--config_file", str(file)])
    assert (settings.cluster, host.port) == ("c", 7)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"py": None, "port": None}, UsageError, "these arguments are required: --py, --port"),
        ({"port": "many"}, UsageError, "--port 'many' is no number"),
        ({"function_details": "{"}, BootError, "--function_details can't be read"),
        ({"function_details": '{"unknownField":1}'}, BootError, "unknownField"),
    ],
)
def test_a_wrong_command_line_is_named(changes: dict[str, str | None], error: type[Exception], said: str) -> None:
    """The message names the argument."""
    with pytest.raises(error, match=re.escape(said)):
        parse(line(**changes))
