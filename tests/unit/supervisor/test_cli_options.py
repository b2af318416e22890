import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from magnetar.cli.client_conf import ClientConf, read_client_conf
from magnetar.cli.connection import Connection
from magnetar.cli.errors import UsageError
from magnetar.cli.functions.config import merged, read_file, read_given
from magnetar.cli.functions.options import FunctionOptions, Guarantees, Position
from magnetar.cli.options import Name, Truth, split_fqfn
from magnetar.config import ConfigError
from magnetar.errors import RefusedError
from magnetar.model.function import FunctionConfig, read_config

_GIVEN: dict[str, Any] = {
    "inputs": "a, b",
    "input_specs": '{"a": {"schemaType": "string"}}',
    "custom_serde_inputs": '{"c": "d"}',
    "custom_schema_inputs": '{"e": "{}"}',
    "custom_schema_outputs": '{"f": "{}"}',
    "producer_config": '{"maxPendingMessages": 7}',
    "user_config": '{"n": 1}',
    "secrets": '{"s": {"path": "p"}}',
    "processing_guarantees": Guarantees.ATMOST_ONCE,
    "subscription_position": Position.EARLIEST,
}
_NOT_FIELDS = {"function_config_file", "fqfn"}


def options(**given: Any) -> FunctionOptions:
    return FunctionOptions(**given)


def value_for(name: str, kind: object) -> Any:
    if name in _GIVEN:
        return _GIVEN[name]
    text = str(kind)
    if "Truth" in text:
        return Truth.FALSE
    return 3 if "int" in text else 1.5 if "float" in text else f"the-{name}"


@pytest.mark.parametrize("field", [each for each in fields(FunctionOptions) if each.name not in _NOT_FIELDS])
def test_every_option_reaches_its_field_of_the_config(field: Any) -> None:
    """Each option alone changes exactly one field that the config knows."""
    values = merged({}, options(**{field.name: value_for(field.name, field.type)}))
    config, warnings = read_config(values)
    assert warnings == ()
    assert len(config.to_json()) == 1
    assert config.to_json().keys() == values.keys()


def test_options_win_over_the_file_field_by_field() -> None:
    """What an option names replaces the file's; the rest of the file stays, inside blocks too."""
    file = {"name": "f", "parallelism": 2, "resources": {"cpu": 1.0, "ram": 5}, "logTopic": "l"}
    found = merged(file, options(parallelism=3, cpu=2.5))
    assert found == {"name": "f", "parallelism": 3, "resources": {"cpu": 2.5, "ram": 5}, "logTopic": "l"}


def test_a_full_name_sets_all_three_parts() -> None:
    """--fqfn wins over the file's names and excludes the three options."""
    found = merged({"tenant": "x", "name": "y"}, options(fqfn="t/n/f"))
    assert (found["tenant"], found["namespace"], found["name"]) == ("t", "n", "f")
    with pytest.raises(UsageError, match="leave --tenant"):
        merged({}, options(fqfn="t/n/f", tenant="t"))
    with pytest.raises(UsageError, match="tenant/namespace/name"):
        merged({}, options(fqfn="t/f"))


@pytest.mark.parametrize(("text", "said"), [("{", "not JSON"), ("[1]", "is a list"), ("7", "is a int")])
def test_a_json_option_that_holds_no_object_is_named(text: str, said: str) -> None:
    """The option and the remedy are told."""
    with pytest.raises(UsageError, match=f"--user-config.*{said}"):
        merged({}, options(user_config=text))


def test_the_name_comes_from_the_class_and_the_place_has_defaults(tmp_path: Path) -> None:
    """Without a name, the last part of the class is it; tenant and namespace are public and default."""
    (tmp_path / "f.py").touch()
    given = read_given(options(class_name="module.Words", py=str(tmp_path / "f.py"), inputs="a"))
    assert given.name.fqfn == "public/default/Words"
    assert (given.values["tenant"], given.values["name"]) == ("public", "Words")
    with pytest.raises(UsageError, match="no name"):
        read_given(options(inputs="a"))


def test_a_package_beside_the_config_file_is_found(tmp_path: Path) -> None:
    """A path in the file is looked for from here, then from beside the file."""
    (tmp_path / "f.py").touch()
    (tmp_path / "config.yaml").write_text("className: f\npy: f.py\n")
    assert read_given(options(function_config_file=tmp_path / "config.yaml")).file == tmp_path / "f.py"


@pytest.mark.parametrize("url", ["http://h/f.py", "https://h/f.py", "file:///f.py", "function://t/n/f@v"])
def test_a_url_is_left_to_the_worker(url: str) -> None:
    """A package that the worker reads itself is no file here."""
    given = read_given(options(class_name="f", py=url))
    assert (given.file, given.url) == (None, url)
    builtin = read_given(options(class_name="f", jar="builtin://x"))
    assert (builtin.file, builtin.url) == (None, None)


def test_a_package_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing file and an empty directory are told apart."""
    with pytest.raises(UsageError, match=r"--py none\.py is not there"):
        read_given(options(class_name="f", py="none.py"))
    with pytest.raises(UsageError, match="has no files"):
        read_given(options(class_name="f", py=str(tmp_path)))


@pytest.mark.parametrize(
    ("name", "text"),
    [("c.yaml", "className: f\nuserConfig: {a: 1}\n"), ("c.json", '{"className": "f", "userConfig": {"a": 1}}')],
)
def test_config_files_are_yaml_or_json(tmp_path: Path, name: str, text: str) -> None:
    """Both formats mean the same."""
    (tmp_path / name).write_text(text)
    assert read_file(tmp_path / name) == {"className": "f", "userConfig": {"a": 1}}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("c.yaml", "className: f\nuserConfig:\n\ta: 1\n", "c.yaml:3: a tab; YAML is indented with spaces"),
        ("c.yaml", "name: a\nname: b\n", "c.yaml:2: 'name' stands twice"),
        ("c.json", '{"name": "a",\n  "py" }', "c.json:2: not JSON"),
        ("c.yaml", "- a\n", "holds a list"),
    ],
)
def test_a_broken_config_file_is_told_with_its_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    """Whoever wrote the file finds the place."""
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_file(tmp_path / name)


def test_a_config_file_that_is_missing_or_binary_is_named(tmp_path: Path) -> None:
    """The path is in the message."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("none.yaml", "binary"):
        with pytest.raises(ConfigError, match=str(tmp_path / name)):
            read_file(tmp_path / name)


def test_a_tab_in_json_is_only_space(tmp_path: Path) -> None:
    """JSON may be indented with tabs, whatever YAML says."""
    (tmp_path / "c.json").write_text('{\n\t"name": "a"\n}')
    assert read_file(tmp_path / "c.json") == {"name": "a"}


def test_values_of_a_wrong_type_name_the_field(tmp_path: Path) -> None:
    """A file's bad value is refused with field and value."""
    (tmp_path / "c.yaml").write_text("className: f\nparallelism: many\n")
    with pytest.raises(RefusedError, match="parallelism is 'many'"):
        read_given(options(function_config_file=tmp_path / "c.yaml"))


def test_unknown_keys_are_kept_and_told(tmp_path: Path) -> None:
    """A newer worker may know what we don't: the key is sent, and named with the nearest known one."""
    (tmp_path / "c.yaml").write_text("className: f\nparalelism: 2\n")
    given = read_given(options(function_config_file=tmp_path / "c.yaml"))
    assert given.warnings == ("unknown key 'paralelism'; did you mean 'parallelism'?",)
    assert given.values["paralelism"] == 2


@pytest.mark.parametrize(
    ("given", "fqfn"),
    [
        ({"name": "f"}, "public/default/f"),
        ({"function": "f"}, "public/default/f"),
        ({"function": "t/n/f"}, "t/n/f"),
        ({"fqfn": "t/n/f"}, "t/n/f"),
        ({"tenant": "t", "namespace": "n", "name": "f"}, "t/n/f"),
    ],
)
def test_a_function_is_named_in_any_way(given: dict[str, str], fqfn: str) -> None:
    """By pulsar-admin's options, or as an argument."""
    assert Name(**given).resolve().fqfn == fqfn


@pytest.mark.parametrize(
    "given",
    [{}, {"fqfn": "t/n/f", "name": "f"}, {"function": "t/n/f", "tenant": "t"}, {"function": "f", "name": "g"}],
)
def test_a_function_named_not_at_all_or_twice_is_wrong_usage(given: dict[str, str]) -> None:
    """Nothing is guessed."""
    with pytest.raises(UsageError):
        Name(**given).resolve()
    with pytest.raises(UsageError):
        split_fqfn("f")


def test_client_conf_is_read_as_pulsars_tools_read_it(tmp_path: Path) -> None:
    """Comments and empty values are passed over; the first of several hosts is taken."""
    path = tmp_path / "client.conf"
    path.write_text(
        "# the worker\nwebServiceUrl=http://a:8080,b:8080/\nauthPlugin=\nauthParams = token:x=y\n"
        "tlsAllowInsecureConnection=TRUE\n! old\ntlsEnableHostnameVerification=false\n"
    )
    assert read_client_conf(path) == ClientConf(
        web_service_url="http://a:8080",
        auth_params="token:x=y",
        tls_allow_insecure_connection=True,
        tls_enable_hostname_verification=False,
    )


def test_a_client_conf_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A missing file, and Java's keystores."""
    with pytest.raises(UsageError, match="none"):
        read_client_conf(tmp_path / "none")
    (tmp_path / "client.conf").write_text("useKeyStoreTls=true\n")
    with pytest.raises(UsageError, match="tlsTrustCertsFilePath"):
        read_client_conf(tmp_path / "client.conf")


async def test_the_workers_address_has_an_order(tmp_path: Path) -> None:
    """The option, then MAGNETAR_ADMIN_URL, then client.conf, then the local host."""
    conf = tmp_path / "client.conf"
    conf.write_text("serviceUrl=http://conf:1\n")
    environ = {"PULSAR_CLIENT_CONF": str(conf)}
    assert Connection().client({}).url == "http://localhost:8080"
    assert Connection().client(environ).url == "http://conf:1"
    assert Connection(client_conf=conf).client({}).url == "http://conf:1"
    assert Connection().client({**environ, "MAGNETAR_ADMIN_URL": "http://env:1"}).url == "http://env:1"
    assert Connection(admin_url="http://option:1").client({"MAGNETAR_ADMIN_URL": "x"}).url == "http://option:1"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"admin_url": "localhost:8080"}, "is no URL"),
        ({"auth_params": "token:x"}, "--auth-plugin"),
        ({"auth_plugin": "com.acme.Mine"}, "--auth-plugin: 'com.acme.Mine' is not known"),
        ({"auth_plugin": "token", "token_file": Path("t")}, "keep one"),
    ],
)
def test_options_that_make_no_connection_are_wrong_usage(given: dict[str, Any], said: str) -> None:
    """The option is named, in the command line's words."""
    with pytest.raises(UsageError, match=said):
        Connection(**given).client({})


def test_the_config_that_is_sent_is_what_the_worker_reads(tmp_path: Path) -> None:
    """The values survive JSON and give the same config."""
    (tmp_path / "f.py").touch()
    given = read_given(options(class_name="f", py=str(tmp_path / "f.py"), inputs="a,b", auto_ack=Truth.FALSE))
    config = FunctionConfig.model_validate(json.loads(json.dumps(given.values)))
    assert (config.inputs, config.auto_ack, config.name) == (("a", "b"), False, "f")
