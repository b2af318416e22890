from pathlib import Path

import pytest
from magnetar.config import ConfigError, load_config, load_effective
from magnetar.config.effective import HIDDEN, settings
from magnetar.config.environment import read_environment, variables
from magnetar.config.layers import Layer, Layers


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("PULSAR_workerPort", "7", ("workerPort",), 7),
        ("PF_workerPort", "7", ("workerPort",), 7),
        ("PULSAR_workerId", "0123", ("workerId",), "0123"),
        ("PULSAR_useTls", "true", ("useTls",), True),
        ("PULSAR_downloadDirectory", "/a: b", ("downloadDirectory",), "/a: b"),
        ("PULSAR_superUserRoles", "a, b", ("superUserRoles",), ["a", "b"]),
        ("PULSAR_superUserRoles", '["a,b"]', ("superUserRoles",), ["a,b"]),
        (
            "PULSAR_brokerClientAuthenticationParameters",
            '{"a": 1}',
            ("brokerClientAuthenticationParameters",),
            '{"a": 1}',
        ),
        ("PULSAR_properties", "{a: b}", ("properties",), {"a": "b"}),
        (
            "PF_functionRuntimeFactoryConfigs_logDirectory",
            "/l",
            ("functionRuntimeFactoryConfigs", "logDirectory"),
            "/l",
        ),
        ("MAGNETAR_healthPort", "0", ("magnetar", "healthPort"), 0),
        ("MAGNETAR_restart_maxDelay", "1.5", ("magnetar", "restart", "maxDelay"), 1.5),
        ("MAGNETAR_environment", "inherit", ("magnetar", "environment"), "inherit"),
        ("MAGNETAR_environment", "PATH", ("magnetar", "environment"), ["PATH"]),
        ("MAGNETAR_embeddedBroker_port", "5", ("magnetar", "embeddedBroker", "port"), 5),
    ],
)
def test_a_variable_gives_one_setting(name: str, text: str, path: tuple[str, ...], value: object) -> None:
    """Names are spelt as the file's keys; a text is read as its setting's kind wants."""
    layer, warnings = read_environment({name: text})
    assert warnings == []
    found: object = layer.values
    for part in path:
        assert isinstance(found, dict)
        found = found[part]
    assert (found, layer.place(path)) == (value, name)


def test_no_two_settings_share_a_variable() -> None:
    """Joining by `_` is unambiguous, since no key holds one."""
    paths = {variable.path for variable in variables().values()}
    assert not [path for path in paths if any("_" in str(part) for part in path)]
    assert {len({name for name, each in variables().items() if each.path == path}) for path in paths} <= {1, 2}


def test_variables_of_kubernetes_and_of_others_are_left_alone() -> None:
    """A service named pulsar-worker must not change this worker's port."""
    environ = {
        "PULSAR_WORKER_PORT": "tcp://10.0.0.1:6750",
        "PULSAR_HOME": "/p",
        "MAGNETAR_ADMIN_URL": "x",
        "workerPort": "1",
    }
    layer, warnings = read_environment(environ)
    assert (layer.values, warnings) == ({}, [])
    assert load_config(environ=environ) == load_config()


def test_a_misspelt_variable_is_told() -> None:
    """What looks like a setting and is none gets a warning with the nearest one."""
    assert load_config(environ={"PULSAR_workerProt": "1"}).warnings == (
        "PULSAR_workerProt: no setting has this name; did you mean PULSAR_workerPort?",
    )


def test_an_empty_variable_is_absent() -> None:
    """As an empty value of the file."""
    assert load_config(environ={"PULSAR_workerId": "", "MAGNETAR_runtimes": ""}) == load_config()


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"PULSAR_workerPort": "many"}, "PULSAR_workerPort: workerPort is 'many'"),
        ({"PULSAR_properties": "{a"}, "PULSAR_properties: '{a' can't be read"),
        ({"PULSAR_authenticationEnabled": "true"}, "PULSAR_authenticationEnabled: authenticationEnabled is true"),
        ({"MAGNETAR_restart_maxDelay": "-1"}, "MAGNETAR_restart_maxDelay: magnetar.restart.maxDelay is -1"),
    ],
)
def test_a_bad_value_is_told_with_its_variable(environ: dict[str, str], said: str) -> None:
    """Whoever set it finds it."""
    with pytest.raises(ConfigError) as caught:
        load_config(environ=environ)
    assert said in str(caught.value)


def test_the_order_is_command_line_environment_file_defaults(tmp_path: Path) -> None:
    """Each place wins over those below, and each setting knows its own."""
    file = tmp_path / "functions_worker.yml"
    file.write_text(
        "workerPort: 1\nworkerId: file\npulsarFunctionsCluster: c\nmagnetar:\n  healthPort: 1\n  stopGrace: 3\n"
    )
    environ = {"PULSAR_workerPort": "2", "PULSAR_workerId": "env", "MAGNETAR_healthPort": "2"}
    effective = load_effective(file, {"worker_port": 3}, {"worker_hostname": "h", "workerId": "low"}, environ)
    found = {setting.key: (setting.value, setting.origin) for setting in settings(effective)}
    assert found["workerPort"] == (3, "command line")
    assert found["workerId"] == ("env", "PULSAR_workerId")
    assert found["pulsarFunctionsCluster"] == ("c", "functions_worker.yml:3")
    assert found["workerHostname"] == ("h", "this command's default")
    assert found["magnetar.healthPort"] == (2, "MAGNETAR_healthPort")
    assert found["magnetar.stopGrace"] == (3, "functions_worker.yml:6")
    assert found["magnetar.metricsPort"] == (9094, "default")


def test_an_empty_value_of_the_file_does_not_hide_what_is_below(tmp_path: Path) -> None:
    """Pulsar's shipped file leaves keys empty; a command's own default holds then."""
    file = tmp_path / "functions_worker.yml"
    file.write_text("workerHostname:\n")
    assert load_config(file, defaults={"worker_hostname": "h"}).worker_hostname == "h"


def test_a_mistake_is_placed_where_the_value_comes_from(tmp_path: Path) -> None:
    """A bad override is not blamed on the file's line."""
    file = tmp_path / "functions_worker.yml"
    file.write_text("workerPort: 1\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file, {"worker_port": 70000})
    assert str(caught.value).startswith("command line: workerPort is 70000")


def test_secrets_are_hidden() -> None:
    """Neither credentials nor properties that are called secret are shown."""
    overrides = {
        "brokerClientAuthenticationParameters": "token:s3cret",
        "properties": {"tokenSecretKey": "s3cret", "plain": "seen"},
    }
    found = {setting.key: setting.value for setting in settings(load_effective(overrides=overrides))}
    assert found["brokerClientAuthenticationParameters"] == HIDDEN
    assert (found["properties.tokenSecretKey"], found["properties.plain"]) == (HIDDEN, "seen")
    assert "s3cret" not in str(found)


def test_layers_look_into_lists() -> None:
    """An item of a list has its own place."""
    layers = Layers((Layer("low", {"a": ["x", "y"]}, {("a", 1): "low:2"}), Layer("high", {"b": None})))
    assert layers.at(("a", 1)) == "low:2: "
    assert layers.at(("a", 0)) == "low: "
    assert (layers.origin(("b",)), layers.at(("c",))) == ("default", "")
