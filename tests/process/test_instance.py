"""Functions as real processes on a real broker: what they get, what comes of it, and what is told of them."""

import json
import os
import re
import signal
import time
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pulsar
import pytest
from instance_process import InstanceProcess, collect, details, produce, running, unique, until
from magnetar_broker.testing import RunningBroker
from magnetar_instance.proto.function import ATMOST_ONCE

Launch = Callable[..., AbstractContextManager[InstanceProcess]]
ECHO = "def process(input):\n    return input\n"


def test_a_module_function_gives_its_results_to_the_output_topic(launch: Launch, client: pulsar.Client) -> None:
    """The simplest function of Pulsar's documentation; properties tell where an output came from."""
    source, sink = unique("in"), unique("out")
    produce(client, source, [b"hello", b"world"])
    with launch(details("exclaim", [source], sink), "def process(input):\n    return f'{input}!'\n") as instance:
        messages = collect(client, sink, 2)
        assert [message.data() for message in messages] == [b"hello!", b"world!"]
        properties = messages[0].properties()
        assert properties["__pfn_input_topic__"] == source
        assert set(properties) == {"__pfn_input_topic__", "__pfn_input_msg_id__"}
        status = instance.until(lambda now: now.numSuccessfullyProcessed == 2)
        assert (status.running, status.numReceived, status.instanceId) == (True, 2, "0")
        assert instance.stop() == 0


CONTEXT = """
from pulsar import Function

class Teller(Function):
    def process(self, input, context):
        context.record_metric("length", len(input))
        context.get_logger().info("telling %s", input)
        print("printed", input)
        context.publish(context.get_user_config_value("side"), input, properties={"kind": "copy"})
        facts = [
            context.get_function_name(), context.get_function_tenant(), context.get_function_namespace(),
            context.get_instance_id(), context.get_input_topics(), context.get_output_topic(),
            context.get_message_key(), context.get_message_properties(), context.get_message_eventtime(),
            context.get_current_message_topic_name(), context.get_user_config_map(), context.get_secret("password"),
            context.get_secret("none"), context.get_user_config_value("none"),
            len(context.get_pulsar_client().get_topic_partitions("some-topic")),
        ]
        import json
        return json.dumps(facts)
"""


def test_a_class_gets_pulsars_context(launch: Launch, client: pulsar.Client) -> None:
    """Names, config, secrets, the message's own fields, metrics, the logger, prints and publishing to any topic."""
    source, sink, side = unique("in"), unique("out"), unique("side")
    config = {"side": side, "n": 1}
    function = details(
        "teller.Teller", [source], sink, userConfig=json.dumps(config), secretsMap=json.dumps({"password": "hush"})
    )
    producer = client.create_producer(source)
    producer.send(b"word", properties={"a": "b"}, partition_key="key", event_timestamp=1234)
    with launch(function, CONTEXT, instance_id=3) as instance:
        told = json.loads(collect(client, sink, 1)[0].data())
        expected = [function.name, "public", "default", "3", [source], sink, "key", {"a": "b"}, 1234, source]
        assert told == [*expected, config, "hush", None, None, 1]
        copy = collect(client, side, 1)[0]
        assert copy.data() == b"word"
        assert copy.properties()["kind"] == "copy"
        metrics = instance.metrics()
        assert metrics.userMetrics == {"user_metric_length_sum": 4.0, "user_metric_length_count": 1.0}
        assert re.search(r"^\[.+\] \[INFO\] teller.py: telling word$", instance.log(), re.MULTILINE)
        assert re.search(r"^\[.+\] \[INFO\] .+: printed word$", instance.log(), re.MULTILINE)


def test_types_are_guessed_as_pulsar_guesses_them(launch: Launch, client: pulsar.Client) -> None:
    """Text that reads as a number is one, other text a str, anything else bytes."""
    source, sink = unique("in"), unique("out")
    produce(client, source, [b"5", b"2.5", b"1+2j", b"word", b"\xff\xfe", b"nan"])
    with launch(details("typed", [source], sink), "def process(input):\n    return type(input).__name__\n"):
        names = [message.data().decode() for message in collect(client, sink, 6)]
    assert names == ["int", "float", "complex", "str", "bytes", "float"]


FAILS_ONCE = """
seen = set()
def process(input):
    if input == "bad" and input not in seen:
        seen.add(input)
        raise ValueError("I don't like it")
    return input
"""


def test_an_exception_is_counted_kept_and_its_message_comes_again(launch: Launch, client: pulsar.Client) -> None:
    """Only the message that failed is redelivered; the others of its batch are not."""
    source, sink = unique("in"), unique("out")
    function = details("picky", [source], sink)
    function.source.negativeAckRedeliveryDelayMs = 100
    produce(client, source, [b"one", b"bad", b"two"])
    with launch(function, FAILS_ONCE) as instance:
        data = [message.data() for message in collect(client, sink, 3)]
        assert data == [b"one", b"two", b"bad"]
        status = instance.until(lambda now: now.numUserExceptions == 1 and now.numReceived >= 4)
        kept = status.latestUserExceptions[0]
        assert "ValueError: I don't like it" in kept.exceptionString
        assert abs(kept.msSinceEpoch / 1000 - time.time()) < 60
        assert "I don't like it" in instance.log()


def test_metrics_have_pulsars_names_and_labels(launch: Launch, client: pulsar.Client) -> None:
    """The text parses, counts what happened, and no label holds an exception's text."""
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
    from prometheus_client.parser import text_string_to_metric_families

    source, sink = unique("in"), unique("out")
    function = details("picky", [source], sink)
    produce(client, source, [b"one", b"bad"])
    with launch(function, FAILS_ONCE) as instance:
        instance.until(lambda now: now.numUserExceptions == 1 and now.numSuccessfullyProcessed == 1)
        families = list(text_string_to_metric_families(instance.metrics_text()))
        strict = list(openmetrics_families(instance.metrics_text(Accept="application/openmetrics-text; version=1.0.0")))
    assert [family.name for family in strict] == [family.name for family in families]
    samples = {sample.name: sample for family in families for sample in family.samples}
    assert samples["pulsar_function_received_total"].value == 2
    assert samples["pulsar_function_processed_successfully_1min_total"].value == 1
    assert samples["pulsar_function_process_latency_ms_count"].value == 1
    assert samples["magnetar_function_process_latency_seconds_count"].value == 1
    labels = samples["pulsar_function_user_exceptions_total"].labels
    fqfn = f"public/default/{function.name}"
    assert labels == {
        "tenant": "public",
        "namespace": "public/default",
        "name": function.name,
        "instance_id": "0",
        "cluster": "test",
        "fqfn": fqfn,
    }
    assert samples["pulsar_function_user_exception"].labels["error"] == "ValueError"


BUSY = """
import time
def process(input):
    ends = time.monotonic() + 3600
    while time.monotonic() < ends:
        sum(range(1000))
"""


def test_status_waits_on_no_user_code(launch: Launch, client: pulsar.Client) -> None:
    """While a function burns the processor, status, metrics and health are answered within a second."""
    source = unique("in")
    produce(client, source, [b"x"])
    with launch(details("busy", [source]), BUSY) as instance:
        instance.until(lambda now: now.numReceived == 1)
        began = time.monotonic()
        assert instance.status().numSuccessfullyProcessed == 0
        assert b"pulsar_function_received_total" in instance.metrics_text().encode()
        assert time.monotonic() - began < 5


def test_several_inputs_and_a_pattern_are_all_read(launch: Launch, client: pulsar.Client) -> None:
    """Each input has a consumer; a regular expression is one of them."""
    name = unique("many").rpartition("/")[2]
    one, two, other = f"persistent://public/default/{name}-a", f"persistent://public/default/{name}-b", unique("other")
    for topic in (one, two, other):
        produce(client, topic, [topic[-1:].encode()])
    sink = unique("out")
    function = details("echo", [other], sink)
    function.source.inputSpecs[f"persistent://public/default/{name}-.*"].isRegexPattern = True
    with launch(function, ECHO):
        assert {message.data() for message in collect(client, sink, 3)} == {b"a", b"b", other[-1:].encode()}


def test_at_most_once_does_not_come_again(launch: Launch, client: pulsar.Client) -> None:
    """A message whose function failed is gone."""
    source, sink = unique("in"), unique("out")
    function = details("picky", [source], sink, processingGuarantees=ATMOST_ONCE)
    function.source.negativeAckRedeliveryDelayMs = 100
    produce(client, source, [b"bad", b"good"])
    with launch(function, FAILS_ONCE) as instance:
        assert collect(client, sink, 1)[0].data() == b"good"
        assert instance.stop() == 0
    with launch(function, ECHO) as instance:
        produce(client, source, [b"last"])
        assert [message.data() for message in collect(client, sink, 2)] == [b"good", b"last"]


ACKS_ODD = """
from pulsar import Function
class Odd(Function):
    def process(self, input, context):
        if input % 2:
            context.ack(context.get_message_id(), context.get_current_message_topic_name())
        return input
"""


def test_without_auto_ack_the_function_acknowledges_itself(launch: Launch, client: pulsar.Client) -> None:
    """What the function did not acknowledge comes again to its successor."""
    source, sink = unique("in"), unique("out")
    function = details("odd.Odd", [source], sink, autoAck=False)
    producer = client.create_producer(source)
    for number in range(4):
        producer.send(str(number).encode())
    with launch(function, ACKS_ODD) as instance:
        assert [message.data() for message in collect(client, sink, 4)] == [b"0", b"1", b"2", b"3"]
        assert instance.stop() == 0
    with launch(function, ACKS_ODD):
        assert [message.data() for message in collect(client, sink, 6)][4:] == [b"0", b"2"]


@pytest.mark.parametrize(
    ("class_name", "code", "reason"),
    [
        (
            "broken",
            "import nothing_of_this_name\n",
            "ModuleNotFoundError: No module named 'nothing_of_this_name'; to have nothing_of_this_name installed, let the",
        ),
        ("broken", "process = lambda a, b, c: a\n", "process(a, b, c) can't be called with an input and a context"),
        ("broken.Missing", ECHO, "className 'broken.Missing': the module has no 'Missing'"),
        ("broken", "x = 1\n", "className 'broken': the module has no function process(input)"),
        ("broken", "def process(:\n", "SyntaxError: invalid syntax"),
    ],
)
def test_what_no_retry_mends_is_told_with_its_reason(launch: Launch, class_name: str, code: str, reason: str) -> None:
    """The supervisor hears why, the log has the traceback, and the exit code is 78."""
    with launch(details(class_name, [unique("in")]), code, ready=False) as instance:
        told = instance.wait_event("failed")
        assert told["reason"].startswith(reason)
        assert instance.process.wait(30) == 78
        assert reason in instance.log()


def test_a_renamed_log_is_reopened_on_command(launch: Launch, client: pulsar.Client) -> None:
    """Records, prints and what the function's children write go to the new file."""
    source, sink = unique("in"), unique("out")
    code = (
        "import os\ndef process(input):\n    print('printed', input)\n    os.system('echo child')\n    return input\n"
    )
    with launch(details("printer", [source], sink), code) as instance:
        produce(client, source, [b"first"])
        collect(client, sink, 1)
        old = instance.log_file.rename(instance.log_file.with_suffix(".old"))
        instance.command("reopen-log")
        until(instance.log_file.exists, bool)
        produce(client, source, [b"second"])
        collect(client, sink, 2)
        assert "printed first" in old.read_text()
        assert "printed second" in instance.log()
        assert "\nchild\n" in instance.log()
        assert "second" not in old.read_text()


def test_progress_is_pushed_after_change_only(launch: Launch, client: pulsar.Client) -> None:
    """The supervisor hears that the function begins to work and how far it came, and nothing while nothing happens."""
    source = unique("in")
    with launch(details("echo", [source]), ECHO) as instance:
        produce(client, source, [b"x"] * 100)
        assert instance.wait_event("progress") == {"event": "progress", "received": 1, "processed": 0}
        instance.wait_event("progress", received=100, processed=100)
        assert instance.events[-1] == {"event": "progress", "received": 100, "processed": 100}


def test_stacks_are_written_when_they_are_asked_for(launch: Launch) -> None:
    """SIGQUIT shows in the log where every thread is, and the instance goes on."""
    with launch(details("echo", [unique("in")]), ECHO) as instance:
        instance.process.send_signal(signal.SIGQUIT)
        until(instance.log, lambda text: "Thread 0x" in text and "host.py" in text)
        assert instance.status().running


def test_an_instance_that_waits_for_a_broker_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    """It is not subscribed, so there is nothing to finish; the client gives up at once."""
    code = tmp_path / "echo.py"
    code.write_text("def process(input): return input\n")
    function = details("echo", [unique("in")])
    with running(function, code, "pulsar://127.0.0.1:1", logs=tmp_path / "logs", ready=False) as instance:
        until(instance.log, lambda text: "Connection refused" in text)
        began = time.monotonic()
        assert instance.stop() == 0
        assert time.monotonic() - began < 5


def test_the_supervisors_descriptor_is_hidden_from_the_function(launch: Launch, client: pulsar.Client) -> None:
    """Neither its number nor the descriptor itself reaches programs that the function starts."""
    source, sink = unique("in"), unique("out")
    code = (
        "import os, subprocess\n"
        "def process(input):\n"
        "    return subprocess.run('ls -l /proc/self/fd | grep -c socket', shell=True, capture_output=True,\n"
        "                          text=True).stdout + str(os.environ.get('MAGNETAR_SUPERVISOR_FD'))\n"
    )
    produce(client, source, [b"x"])
    with launch(details("looks", [source], sink), code):
        assert collect(client, sink, 1)[0].data() == b"0\nNone"


def test_a_foreign_supervisor_that_stops_asking_ends_the_instance(launch: Launch) -> None:
    """Started without our descriptor, an instance ends after three missed health checks."""
    function = details("echo", [unique("in")])
    flags = ("--expected_healthcheck_interval", "1")
    with launch(function, ECHO, supervised=False, flags=flags) as instance:
        assert instance.status().running
        assert instance.process.wait(30) == 0
        assert "no health check for 3 s" in instance.log()


def test_an_instance_ends_when_its_supervisor_is_gone(launch: Launch) -> None:
    """End of file on the socket pair stops it politely."""
    with launch(details("echo", [unique("in")]), ECHO) as instance:
        assert instance.channel is not None
        instance.channel.close()
        assert instance.process.wait(30) == 0
        assert "the supervisor is gone" in instance.log()


def test_our_own_flags_and_foreign_environment_reach_the_function(launch: Launch, client: pulsar.Client) -> None:
    """Secrets come from the environment where that provider is named; the function's folder is first on the path."""
    source, sink = unique("in"), unique("out")
    code = (
        "import sys\nfrom pulsar import Function\n"
        "class Secret(Function):\n"
        "    def process(self, input, context):\n"
        "        return context.get_secret('PASSWORD') + ' ' + sys.path[0]\n"
    )
    function = details("secret.Secret", [source], sink, secretsMap='{"PASSWORD": {"path": "p", "key": "k"}}')
    flags = ("--secrets_provider", "secretsprovider.EnvironmentBasedSecretsProvider")
    produce(client, source, [b"x"])
    with launch(function, code, flags=flags, environment={"PASSWORD": "hush"}) as instance:
        folder = os.fspath(instance.log_file.parents[4])
        assert collect(client, sink, 1)[0].data().decode() == f"hush {folder}"


OWN_SECRETS = """
from pulsar import Function


class Vault:
    def init(self, config):
        self.prefix = config["prefix"]

    def provide_secret(self, name, place):
        return f"{self.prefix} {name} {place['key']}"


class Secret(Function):
    def process(self, input, context):
        return f"{context.get_secret('password')}, {context.get_secret('other')}"
"""


def test_secrets_come_from_a_class_of_the_functions_own(launch: Launch, client: pulsar.Client) -> None:
    """It is given its config once, then each secret's name and place; a name that is not in the map is no secret."""
    source, sink = unique("in"), unique("out")
    function = details("secret.Secret", [source], sink, secretsMap='{"password": {"key": "k"}}')
    flags = ("--secrets_provider", "secret.Vault", "--secrets_provider_config", '{"prefix": "from the vault:"}')
    produce(client, source, [b"x"])
    with launch(function, OWN_SECRETS, flags=flags):
        assert collect(client, sink, 1)[0].data() == b"from the vault: password k, None"


def test_a_log_topic_gets_every_record(launch: Launch, client: pulsar.Client) -> None:
    """Records and prints of the whole life are on the topic, in Pulsar's format, the last ones before the end too."""
    source, topic = unique("in"), unique("log")
    code = (
        "import logging\n"
        "logging.info('at import')\n"
        "def process(input):\n"
        "    logging.getLogger(__name__).warning('saw %s', input)\n"
        "    print('printed', input)\n"
    )
    produce(client, source, [b"m%d" % number for number in range(50)])
    with launch(details("chatty", [source], logTopic=topic), code) as instance:
        instance.until(lambda now: now.numSuccessfullyProcessed == 50)
        assert instance.stop() == 0
    reader = client.create_reader(topic, pulsar.MessageId.earliest)
    messages = []
    while reader.has_message_available():
        messages.append(reader.read_next(5000))
    texts = [message.data().decode() for message in messages]
    assert [text for text in texts if "] [WARNING]: saw m" in text] == [
        text for text in texts if text.endswith(tuple(f"saw m{number}" for number in range(50)))
    ]
    assert sum("printed m" in text for text in texts) == 50
    warning = next(message for message in messages if "saw m0" in message.data().decode())
    assert warning.properties()["loglevel"] == "WARNING"
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000\] \[WARNING\]: saw m0", warning.data().decode())


def test_annotated_dataclasses_are_json_records(launch: Launch, client: pulsar.Client) -> None:
    """A function annotated with dataclasses gets and gives records; its output topic has their schema."""
    source, sink = unique("in"), unique("out")
    code = (
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Order:\n    name: str\n    count: int\n"
        "@dataclass\nclass Receipt:\n    text: str\n    total: float\n"
        "def process(order: Order) -> Receipt:\n"
        "    return Receipt(order.name, order.count * 2.5)\n"
    )
    with launch(details("orders", [source], sink), code):
        produce(client, source, [b'{"name": "tea", "count": 2}'])
        assert json.loads(collect(client, sink, 1)[0].data()) == {"text": "tea", "total": 5.0}


def test_state_is_refused_by_name(launch: Launch, client: pulsar.Client) -> None:
    """Without a store, a function that asks for state hears so, where Pulsar reads nothing and drops what is written."""
    source = unique("in")
    code = (
        "from pulsar import Function\n"
        "class Counter(Function):\n"
        "    def process(self, input, context):\n"
        "        context.incr_counter('words', 1)\n"
    )
    produce(client, source, [b"x"])
    with launch(details("counter.Counter", [source]), code) as instance:
        status = instance.until(lambda now: now.numUserExceptions == 1)
        assert "this instance has no state store" in status.latestUserExceptions[0].exceptionString


def test_a_log_topic_counts_what_it_can_not_take(launch: Launch, client: pulsar.Client) -> None:
    """A record that no broker takes is counted, and those around it are on the topic."""
    source, topic = unique("in"), unique("log")
    code = (
        "import logging, os\n"
        "def process(input):\n"
        "    for number in range(500):\n"
        "        logging.warning('one of many')\n"
        "    logging.warning('one of many %s', os.urandom(4_000_000).hex())\n"
        "    logging.warning('one of many, and the last')\n"
    )
    produce(client, source, [b"x"])
    with launch(details("floods", [source], logTopic=topic), code) as instance:
        instance.until(lambda now: now.numSuccessfullyProcessed == 1)
        dropped = "magnetar_function_log_records_dropped_total"
        lines = until(
            lambda: [line for line in instance.metrics_text().splitlines() if line.startswith(dropped)],
            lambda found: found[0].endswith(" 1.0"),
        )
        assert len(lines) == 1
        assert instance.stop() == 0
    reader = client.create_reader(topic, pulsar.MessageId.earliest)
    arrived = []
    while reader.has_message_available():
        arrived.append(reader.read_next(5000).data())
    many = [text for text in arrived if b"one of many" in text]
    assert len(many) == 501
    assert many[-1].endswith(b"and the last")


WHEEL_ROOT = "wheeled-1.0.dist-info"


def wheel(folder: Path, requires: str = "") -> Path:
    """A wheel with one module, which may depend on something."""
    path = folder / "wheeled-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("wheeled.py", ECHO)
        archive.writestr(f"{WHEEL_ROOT}/METADATA", f"Metadata-Version: 2.1\nName: wheeled\nVersion: 1.0\n{requires}")
        archive.writestr(f"{WHEEL_ROOT}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{WHEEL_ROOT}/RECORD", "")
    return path


def test_a_wheel_is_unpacked_and_its_dependencies_are_installed_only_when_asked(
    pulsar_broker: RunningBroker, client: pulsar.Client, tmp_path: Path
) -> None:
    """As in Pulsar: without the flag it just runs; with it, what can't be installed ends the start with the reason."""
    source, sink = unique("in"), unique("out")
    produce(client, source, [b"x"])
    code = wheel(tmp_path, "Requires-Dist: no-such-distribution-at-all\n")
    with running(details("wheeled", [source], sink), code, pulsar_broker.service_url, logs=tmp_path / "logs"):
        assert collect(client, sink, 1)[0].data() == b"x"
    flags = ("--install_usercode_dependencies", "True", "--dependency_repository", "http://127.0.0.1:1/")
    function = details("wheeled", [source], sink)
    options = {
        "logs": tmp_path / "logs",
        "flags": flags,
        "ready": False,
        "environment": {"PIP_RETRIES": "0", "UV_HTTP_RETRIES": "0"},
    }
    with running(function, code, pulsar_broker.service_url, **options) as instance:
        assert (
            "what wheeled-1.0-py3-none-any.whl asks for can't be installed" in instance.wait_event("failed")["reason"]
        )
        assert instance.process.wait(30) == 78
