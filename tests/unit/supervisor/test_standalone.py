from pathlib import Path

from magnetar.standalone import StandaloneOptions, standalone_config


def test_without_options_everything_is_on_loopback_and_below_one_directory() -> None:
    """A laptop's worker listens on loopback and writes nothing outside its data directory."""
    config = standalone_config(StandaloneOptions(data_directory=Path("data")))
    assert config.magnetar.bind_address == "127.0.0.1"
    assert config.magnetar.embedded_broker is not None
    assert config.magnetar.embedded_broker.host == "127.0.0.1"
    assert config.process_runtime.log_directory == Path("data/logs")
    assert config.download_directory == Path("data/downloads")
    assert config.worker_port == 8080
    assert config.warnings == ()


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    """What is said closest to the user counts."""
    file = tmp_path / "functions_worker.yml"
    file.write_text(
        "workerPort: 7000\nfunctionRuntimeFactoryConfigs: {logDirectory: elsewhere}\n"
        "magnetar: {healthPort: 1, dataDirectory: from-file}\n"
    )
    config = standalone_config(StandaloneOptions(config_file=file, health_port=2, broker_port=0))
    assert config.worker_port == 7000
    assert config.process_runtime.log_directory == Path("elsewhere")
    assert config.magnetar.health_port == 2
    assert config.magnetar.data_directory == Path("from-file")
    assert config.magnetar.embedded_broker is not None
    assert config.magnetar.embedded_broker.port == 0


def test_a_file_chooses_the_runtime(tmp_path: Path) -> None:
    """Pulsar's key for the runtime works in standalone too."""
    file = tmp_path / "functions_worker.yml"
    file.write_text(
        "functionRuntimeFactoryClassName: org.apache.pulsar.functions.runtime.thread.ThreadRuntimeFactory\n"
    )
    assert standalone_config(StandaloneOptions(config_file=file)).magnetar.default_runtime == "thread"
