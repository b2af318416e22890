from pathlib import Path

import pytest
from magnetar.config import ConfigError, WorkerConfig, load_config
from magnetar.config.conformance import TABLE, judge
from magnetar.config.runtime_keys import RUNTIME_FACTORIES
from magnetar.config.security_keys import TLS_PROVIDER
from magnetar.config.text import parse
from magnetar.config.worker import NOT_KEYS

ROOT = Path(__file__).parents[3]
THREAD, PROCESS, KUBERNETES = (
    next(name for name, kind in RUNTIME_FACTORIES.items() if kind == wanted)
    for wanted in ("thread", "process", "kubernetes")
)


ASKS = f"authenticationEnabled: true\nauthenticationProviders: [{TLS_PROVIDER}]\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "functions_worker.yml"
    path.write_text(text)
    return path


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    return caught.value.problems


def test_no_file_means_the_defaults_of_the_shipped_file() -> None:
    """Without a file, each key has the value of Pulsar's shipped file or, where that has none, of its code."""
    config = load_config()
    assert (config.worker_port, config.failure_check_freq_ms) == (6750, 30_000)
    assert config.metadata_topic == "persistent://public/functions/metadata"
    assert config.worker_id == f"{config.worker_hostname}-6750"
    assert (config.magnetar.health_port, config.magnetar.runtimes) == (9093, ("process", "thread"))
    assert config.process_runtime.functions_log_directory == Path("logs/functions")
    assert config.warnings == ()


def test_a_file_with_empty_values_is_taken_as_if_the_keys_were_absent(tmp_path: Path) -> None:
    """Pulsar's shipped file leaves many keys empty; they keep their defaults."""
    text = "superUserRoles:\nproperties:\nfunctionRuntimeFactoryConfigs:\n  pythonInstanceLocation:\n  logDirectory:\n"
    config = load_config(write(tmp_path, text))
    assert config.super_user_roles == frozenset()
    assert config.process_runtime.log_directory == Path("logs")


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    """A file without a key equals no file."""
    assert load_config(write(tmp_path, "# nothing\n")) == load_config()


def test_overrides_win_in_either_spelling(tmp_path: Path) -> None:
    """Overrides stand over the file, deep in blocks too, in snake_case or camelCase."""
    path = write(tmp_path, "workerPort: 1\nmagnetar: {healthPort: 2, restart: {intensity: 9}}\n")
    over = {"worker_port": 0, "magnetar": {"metrics_port": 3, "restart": {"maxDelay": 4, "initial_delay": 1}}}
    config = load_config(path, over)
    assert (config.worker_port, config.magnetar.health_port, config.magnetar.metrics_port) == (0, 2, 3)
    assert (config.magnetar.restart.intensity, config.magnetar.restart.max_delay) == (9, 4)


def test_a_tab_is_named_with_its_line(tmp_path: Path) -> None:
    """A tab in the indentation is told with the line and what to do."""
    assert problems(tmp_path, "workerPort: 1\nmagnetar:\n\thealthPort: 2\n") == (
        "functions_worker.yml:3: a tab; YAML is indented with spaces, replace it",
    )


def test_a_key_that_stands_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    """Neither value of a duplicate key is chosen silently."""
    (problem,) = problems(tmp_path, "workerPort: 1\nworkerId: a\nworkerPort: 2\n")
    assert problem == "functions_worker.yml:3: 'workerPort' stands twice, first on line 1; keep one"


def test_all_problems_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    """Wrong types, ranges, unknown keys of our block and bad runtime settings come together."""
    text = (
        "workerPort: seventy\nfailureCheckFreqMs: 0\nmagnetar:\n  healtPort: 1\n  restart: {maxDelay: -1}\n"
        "functionRuntimeFactoryConfigs:\n  pulsarClientMemoryLimit: {absoluteValue: -5}\n"
    )
    told = "\n".join(problems(tmp_path, text))
    assert "functions_worker.yml:1: workerPort is 'seventy'" in told
    assert "functions_worker.yml:2: failureCheckFreqMs is 0" in told
    assert "functions_worker.yml:4: magnetar: unknown key 'healtPort'; did you mean 'healthPort'?" in told
    assert "functions_worker.yml:5: magnetar.restart.maxDelay is -1" in told
    assert "functions_worker.yml:7: functionRuntimeFactoryConfigs.pulsarClientMemoryLimit.absoluteValue" in told


def test_unknown_keys_outside_our_block_are_accepted_with_a_warning(tmp_path: Path) -> None:
    """As Pulsar, unknown keys are accepted; a warning names the nearest known one."""
    text = "workerProt: 1\nfunctionRuntimeFactoryConfigs: {logDirectry: x}\nlogDirectory: x\nsurviveFor: 3\n"
    config = load_config(write(tmp_path, text))
    assert config.warnings == (
        "functions_worker.yml:1: unknown key 'workerProt'; did you mean 'workerPort'?",
        "functions_worker.yml:3: unknown key 'logDirectory' here; it belongs under functionRuntimeFactoryConfigs",
        "functions_worker.yml:4: unknown key 'surviveFor' here; it belongs under magnetar",
        (
            "functions_worker.yml:2: functionRuntimeFactoryConfigs: "
            "unknown key 'logDirectry'; did you mean 'logDirectory'?"
        ),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "holds a list"),
        ("a: [1\n", "not YAML"),
        ("a: \x01\n", "remove that character"),
        ("workerId: 'a:b'\n", "colon"),
        ("pulsarServiceUrl: localhost:6650\n", "pulsarServiceUrl is 'localhost:6650'"),
        ("workerPort:\n", "give a port"),
        ("authenticationEnabled: true\n", "authenticationProviders is empty"),
        ("magnetar: {embeddedBroker: {host: 0.0.0.0}}\n", "embeddedBroker.host 0.0.0.0 can be reached by others"),
        (f"{ASKS}magnetar: {{embeddedBroker: {{}}, instanceCredentials: none}}\n", "no function could run"),
        ("authorizationEnabled: true\n", "without authenticationEnabled"),
        ("tlsEnabled: true\n", "workerPortTls is empty"),
        ("authorizationProvider: com.acme.Mine\n", "PulsarAuthorizationProvider"),
        ("tlsRequireTrustedClientCertOnConnect: true\n", "needs tlsEnabled"),
        ("functionRuntimeFactoryClassName: com.acme.Mine\n", "process, thread and Kubernetes factories"),
        ("secretsProviderConfiguratorClassName: a:B\n", "belongs to the Kubernetes runtime"),
        ("magnetar: {kubernetes: {probe: true}}\n", "probes"),
        ("magnetar: {kubernetes: {podDisruptionBudget: {}}}\n", "give either minAvailable or maxUnavailable"),
        ("magnetar: {runtimes: [thread], defaultRuntime: process}\n", "is not among runtimes (thread)"),
        ("magnetar: {runtimes: []}\n", "magnetar.runtimes"),
        ("magnetar: {runtimes: 5}\n", "magnetar.runtimes"),
        ("magnetar: nothing\n", "magnetar"),
        ("magnetar: {environment: 7}\n", "magnetar.environment"),
        ("functionRuntimeFactoryConfigs: text\n", "functionRuntimeFactoryConfigs"),
        ("1: 2\nworkerPort: 70000\n", "workerPort is 70000"),
    ],
)
def test_bad_files_are_refused_with_a_reason(tmp_path: Path, text: str, said: str) -> None:
    """Each kind of bad file is refused with a line that says what is wrong."""
    assert said in "\n".join(problems(tmp_path, text))


def test_a_missing_file_a_folder_and_bytes_are_refused(tmp_path: Path) -> None:
    """A path that can't be read is one problem that names it."""
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.yml", tmp_path, tmp_path / "binary.yml"):
        with pytest.raises(ConfigError, match=str(path)):
            load_config(path)


def test_pulsars_choice_of_a_runtime_is_the_default_runtime() -> None:
    """The factory's class name or an older container key chooses; our own block wins over both."""
    assert load_config(None, {"functionRuntimeFactoryClassName": THREAD}).runtime == "thread"
    assert load_config(None, {"functionRuntimeFactoryClassName": PROCESS}).runtime == "process"
    older = load_config(None, {"threadContainerFactory": {"threadGroupName": "mine"}})
    assert (older.runtime, older.thread_runtime.thread_group_name) == ("thread", "mine")
    both = {"functionRuntimeFactoryClassName": THREAD, "magnetar": {"defaultRuntime": "process"}}
    assert load_config(None, both).runtime == "process"


def test_older_names_of_credentials_are_read(tmp_path: Path) -> None:
    """The manual's `clientAuthentication…` names mean the same as the newer ones, which win."""
    config = load_config(None, {"clientAuthenticationPlugin": "old", "clientAuthenticationParameters": "p"})
    assert config.broker_credentials == ("old", "p")
    config = load_config(None, {"clientAuthenticationPlugin": "old", "brokerClientAuthenticationPlugin": "new"})
    assert config.broker_credentials == ("new", "")
    assert load_config().broker_credentials is None


def test_secrets_are_not_in_the_config_s_text() -> None:
    """Credentials don't reach a log by printing the config."""
    assert "s3cret" not in repr(load_config(None, {"brokerClientAuthenticationParameters": "token:s3cret"}))


def test_every_key_has_a_verdict_and_every_verdict_a_key() -> None:
    """The conformance table names exactly the keys of the model."""
    assert set(TABLE) == set(WorkerConfig.aliases().values()) - NOT_KEYS


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("2.8.1", "configurationStoreServers zooKeeperSessionTimeoutMillis zooKeeperOperationTimeoutSeconds"),
        ("4.x", "configurationMetadataStoreUrl additionalEnabledConnectorUrlPatterns configurationStoreServers"),
    ],
)
def test_every_key_of_pulsars_own_files_is_known(version: str, told: str) -> None:
    """The file that Pulsar ships starts a worker, none of its keys is unknown, and what has no meaning here is told."""
    file = ROOT / "tests" / "golden" / "functions_worker" / f"{version}.yml"
    config = load_config(file)
    assert set(parse(file.read_text(), file.name).values) <= set(TABLE)
    named = {warning.split(": ")[1].split()[0] for warning in config.warnings}
    assert named == {*told.split(), "connectorsDirectory"}
    assert all("has no effect: " in warning for warning in config.warnings)


@pytest.mark.parametrize("key", [key for key, verdict in TABLE.items() if verdict.kind == "refused"])
def test_a_refused_key_is_refused_by_name_and_its_neutral_values_are_not(key: str) -> None:
    """What can't be honoured is named with a remedy; values that ask for nothing pass."""
    ((named, sentence),) = judge({key: "something else"}).refused
    assert named == key
    assert key in sentence
    assert judge(dict.fromkeys([key], TABLE[key].neutral[0])).refused == []
    assert all(judge({key: neutral}).refused == [] for neutral in TABLE[key].neutral)


@pytest.mark.parametrize("key", [key for key, verdict in TABLE.items() if verdict.kind == "meaningless"])
def test_a_key_without_meaning_is_accepted_and_told(key: str) -> None:
    """Each key without effect says why."""
    ((named, sentence),) = judge({key: "x"}).meaningless
    assert named == key
    assert "no effect" in sentence


def test_the_config_is_frozen() -> None:
    """Nobody changes a setting after start."""
    with pytest.raises(ValueError, match="frozen"):
        load_config().worker_port = 1


@pytest.mark.parametrize("key", [key for key, verdict in TABLE.items() if verdict.elsewhere != "honoured"])
def test_keys_of_kubernetes_count_where_it_may_be_used(key: str) -> None:
    """They are honoured with the Kubernetes runtime, as the default or by choice, and told or refused without it."""
    without = judge({key: "something"})
    assert key in str(without.refused + without.meaningless)
    for chosen in ({"functionRuntimeFactoryClassName": KUBERNETES}, {"magnetar": {"runtimes": ["kubernetes"]}}):
        used = judge({key: "something", **chosen})
        assert key not in str(used.refused + used.meaningless)


def test_a_runtime_setting_without_effect_is_named(tmp_path: Path) -> None:
    """A setting that no client for Python has is accepted with a warning, as every key without meaning."""
    text = "functionRuntimeFactoryConfigs:\n  pulsarClientMemoryLimit: {absoluteValue: 5}\n"
    [warning] = load_config(write(tmp_path, text)).warnings
    assert warning.startswith(
        "functions_worker.yml:2: functionRuntimeFactoryConfigs.pulsarClientMemoryLimit has no effect"
    )
