import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from magnetar.errors import RefusedError
from magnetar.model import FunctionConfig, infer, read_config, to_config, to_details
from magnetar.model.from_details import LOSSES
from magnetar.model.function import spellings
from magnetar_instance.proto.function import FunctionDetails

FULL: dict[str, Any] = {
    "tenant": "t",
    "namespace": "n",
    "name": "f",
    "className": "m.C",
    "runtime": "JAVA",
    "inputTypeClassName": "java.lang.String",
    "inputSpecs": {
        "a": {
            "schemaType": "json",
            "regexPattern": False,
            "schemaProperties": {"p": "q"},
            "consumerProperties": {"c": "d"},
            "receiverQueueSize": 0,
            "cryptoConfig": {
                "cryptoKeyReaderClassName": "k",
                "cryptoKeyReaderConfig": {"x": [1, None]},
                "encryptionKeys": ["e"],
                "producerCryptoFailureAction": "SEND",
                "consumerCryptoFailureAction": "DISCARD",
            },
            "messagePayloadProcessorConfig": {"className": "p", "config": {"a": 1}},
            "poolMessages": True,
        },
        "b.*": {"serdeClassName": "s", "regexPattern": True, "schemaProperties": {}, "consumerProperties": {}},
    },
    "output": "o",
    "outputTypeClassName": "java.lang.String",
    "outputSchemaType": "avro",
    "producerConfig": {
        "maxPendingMessages": 5,
        "maxPendingMessagesAcrossPartitions": 6,
        "useThreadLocalProducers": True,
        "batchBuilder": "KEY_BASED",
        "compressionType": "ZSTD",
        "batchingConfig": {
            "enabled": False,
            "batchingMaxPublishDelayMs": 1,
            "roundRobinRouterBatchingPartitionSwitchFrequency": 2,
            "batchingMaxMessages": 3,
            "batchingMaxBytes": 4,
            "batchBuilder": "b",
        },
    },
    "logTopic": "l",
    "processingGuarantees": "ATLEAST_ONCE",
    "retainOrdering": True,
    "retainKeyOrdering": False,
    "forwardSourceMessageProperty": False,
    "userConfig": {"int": 5, "big": 2**70, "null": None, "deep": {"x": [1, 2.5, None, "ü"]}},
    "secrets": {"S": {"path": "p", "key": 5}},
    "autoAck": True,
    "maxMessageRetries": 0,
    "deadLetterTopic": "dead",
    "subName": "sub",
    "parallelism": 3,
    "resources": {"cpu": 0.5, "ram": 7, "disk": 8},
    "timeoutMs": 1234,
    "cleanupSubscription": False,
    "runtimeFlags": "-Xmx1g",
    "customRuntimeOptions": '{"magnetar": {}}',
    "subscriptionPosition": "Earliest",
    "skipToLatest": True,
}


def details_of(raw: dict[str, Any]) -> FunctionDetails:
    return to_details(infer(read_config(raw)[0]))


def test_every_field_comes_back_as_it_was_given() -> None:
    """What has a place in the message is not changed by going there and back."""
    assert to_config(details_of(FULL)).to_json() == FULL


def test_each_field_that_does_not_come_back_is_a_named_loss() -> None:
    """The full example and the list of losses together name every field of the config."""
    assert set(FULL) | set(LOSSES) | {"outputSerdeClassName", "windowConfig"} == set(spellings(FunctionConfig).values())


def test_what_comes_back_makes_the_same_details() -> None:
    """A config that was read back converts to the same message, windows included."""
    window = {**FULL, "autoAck": False, "windowConfig": {"windowLengthCount": 10, "lateDataTopic": "late"}}
    for raw in (FULL, window, {"className": "C", "py": "c.py", "inputs": ["x"]}):
        details = details_of(raw)
        assert to_details(infer(to_config(details))) == details


def test_a_window_hides_in_the_user_config_and_comes_back() -> None:
    """Pulsar's window executor finds its config where it looks for it; users get their own back."""
    details = details_of({**FULL, "windowConfig": {"windowLengthCount": 10}})
    hidden = json.loads(details.userConfig)["__WINDOWCONFIGS__"]
    assert (hidden["actualWindowFunctionClassName"], hidden["processingGuarantees"]) == ("m.C", "ATLEAST_ONCE")
    assert details.className.endswith("WindowFunctionExecutor")
    back = to_config(details)
    assert (back.class_name, back.user_config, back.processing_guarantees) == (
        "m.C",
        FULL["userConfig"],
        "ATLEAST_ONCE",
    )


def test_all_five_ways_to_name_an_input_become_input_specs() -> None:
    """Plain inputs, a pattern, serdes, schemas in strings and specs meet in one map."""
    source = details_of(
        {
            "className": "C",
            "runtime": "PYTHON",
            "inputs": ["a"],
            "topicsPattern": "b.*",
            "customSerdeInputs": {"c": "serde.X"},
            "customSchemaInputs": {"d": '{"schemaType": "string", "schemaProperties": {"k": "v"}}'},
            "inputSpecs": {"e": {"isRegexPattern": True}},
        }
    ).source
    assert set(source.inputSpecs) == {"a", "b.*", "c", "d", "e"}
    assert source.inputSpecs["b.*"].isRegexPattern
    assert source.inputSpecs["e"].isRegexPattern
    assert source.inputSpecs["c"].serdeClassName == "serde.X"
    assert dict(source.inputSpecs["d"].schemaProperties) == {"k": "v"}


def test_defaults_are_pulsars() -> None:
    """What is not given is filled in as Pulsar's worker does."""
    details = details_of({"className": "m.Word", "py": "m.py", "inputs": ["a"], "output": "o"})
    assert (details.tenant, details.namespace, details.name, details.parallelism) == ("public", "default", "Word", 1)
    assert (details.autoAck, details.source.cleanupSubscription) == (True, True)
    assert details.sink.forwardSourceMessageProperty
    assert details.sink.producerSpec.compressionType == 0
    assert (details.resources.cpu, details.resources.ram, details.resources.disk) == (1.0, 2**30, 10 * 2**30)
    assert to_config(details).runtime == "PYTHON"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, 0),
        ({"retainOrdering": True}, 1),
        ({"processingGuarantees": "EFFECTIVELY_ONCE"}, 1),
        ({"retainKeyOrdering": True}, 2),
    ],
)
def test_order_and_guarantee_choose_the_subscription(given: dict[str, Any], kind: int) -> None:
    """Failover keeps the whole order, Key_Shared the order of a key."""
    assert details_of({"inputs": ["a"], "jar": "x", **given}).source.subscriptionType == kind


def test_a_timeout_is_also_the_wait_before_redelivery() -> None:
    """One number of the config stands in two fields of the message."""
    source = details_of({"inputs": ["a"], "timeoutMs": 500}).source
    assert (source.timeoutMs, source.negativeAckRedeliveryDelayMs) == (500, 500)


def test_a_worker_that_forwards_no_properties_turns_the_wish_off() -> None:
    """The worker's switch wins over the function's."""
    config = infer(FunctionConfig(forward_source_message_property=True), forwards_properties=False)
    assert to_details(config).sink.forwardSourceMessageProperty is False


def test_a_builtin_s_name_goes_and_comes_in_jar() -> None:
    """`jar: builtin://x` is the builtin x."""
    details = details_of({"jar": "builtin://exclamation", "inputs": ["a"]})
    assert details.builtin == "exclamation"
    assert to_config(details).jar == "builtin://exclamation"


def test_the_kind_of_package_tells_the_runtime() -> None:
    """jar beats py, py beats go, and all beat the runtime that is named."""
    assert infer(FunctionConfig(py="a", go="b", runtime="GO")).runtime == "PYTHON"
    assert infer(FunctionConfig(jar="j", py="a")).runtime == "JAVA"
    assert infer(FunctionConfig(runtime="GO")).runtime == "GO"


def test_unknown_keys_are_accepted_and_named() -> None:
    """Unknown keys, in blocks too, are warned about with the nearest known key."""
    raw = {"paralelism": 3, "zzz": 1, "inputSpecs": {"x": {"isRegexPattern": True, "schemaTipe": "a"}}}
    config, warnings = read_config({**raw, "producerConfig": {"batchingConfig": {"enabld": True}}})
    assert config.parallelism is None
    assert warnings == (
        "unknown key 'paralelism'; did you mean 'parallelism'?",
        "unknown key 'zzz'",
        "inputSpecs: unknown key 'schemaTipe'; did you mean 'schemaType'?",
        "producerConfig: batchingConfig: unknown key 'enabld'; did you mean 'enabled'?",
    )


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ([], "functionConfig is a list"),
        ({"parallelism": 1.5}, "parallelism is 1.5"),
        ({"parallelism": 2**40}, "parallelism is 1099511627776"),
        ({"runtime": "RUBY"}, "runtime is 'RUBY'"),
        ({"processingGuarantees": "ONCE"}, "processingGuarantees is 'ONCE'"),
        ({"inputs": "a"}, "inputs is 'a'"),
        ({"subscriptionPosition": "Middle"}, "subscriptionPosition is 'Middle'"),
        ({"userConfig": "x"}, "userConfig is 'x'"),
        ({"inputSpecs": {"a": {"receiverQueueSize": "many"}}}, "inputSpecs.a.receiverQueueSize is 'many'"),
        ({"producerConfig": {"compressionType": "RAR"}}, "producerConfig.compressionType is 'RAR'"),
    ],
)
def test_values_of_the_wrong_kind_are_refused_by_name(raw: Any, said: str) -> None:
    """The refusal names the field and its value."""
    with pytest.raises(RefusedError) as caught:
        read_config(raw)
    assert said in str(caught.value)


def test_a_custom_schema_that_is_no_json_is_refused() -> None:
    """The string inside the map must be a consumer config in JSON."""
    with pytest.raises(RefusedError, match=r"Incorrect custom schema.*'a'"):
        details_of({"customSchemaInputs": {"a": "{nope"}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_user_config_comes_back_value_for_value(values: dict[str, Any]) -> None:
    """Integers stay integers, nulls stay nulls, text stays text."""
    back = to_config(details_of({"inputs": ["a"], "jar": "j", "userConfig": values}))
    assert json.dumps(back.to_json()["userConfig"]) == json.dumps(values)
