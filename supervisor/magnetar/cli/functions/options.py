"""The options that describe a function, named as pulsar-admin's; a field's name is that of the config's field."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Option

from magnetar.cli.options import BOOLEAN, Truth


class Guarantees(StrEnum):
    """How often a message may be processed."""

    ATLEAST_ONCE = "ATLEAST_ONCE"
    ATMOST_ONCE = "ATMOST_ONCE"
    EFFECTIVELY_ONCE = "EFFECTIVELY_ONCE"
    MANUAL = "MANUAL"


class Position(StrEnum):
    """Where a new subscription begins."""

    LATEST = "Latest"
    EARLIEST = "Earliest"


@dataclass(frozen=True)
class FunctionOptions:
    """A function's config on the command line; older spellings of pulsar-admin's options work too."""

    function_config_file: Annotated[
        Path | None,
        Option("--function-config-file", "--functionConfigFile", help="A config in YAML or JSON; other options win."),
    ] = None
    tenant: Annotated[str | None, Option("--tenant", help="The function's tenant [public].")] = None
    namespace: Annotated[str | None, Option("--namespace", help="The function's namespace [default].")] = None
    name: Annotated[str | None, Option("--name", help="The function's name [the last part of the class].")] = None
    fqfn: Annotated[str | None, Option("--fqfn", help="All three as tenant/namespace/name.")] = None
    class_name: Annotated[
        str | None, Option("--classname", "--className", help="The class; for a file of functions, its module.")
    ] = None
    function_type: Annotated[str | None, Option("--function-type", "-t", help="A builtin function's name.")] = None
    py: Annotated[str | None, Option("--py", help="Python: a file, directory, zip, wheel or URL.")] = None
    jar: Annotated[str | None, Option("--jar", help="Java: a jar, a nar, a URL or builtin://name.")] = None
    go: Annotated[str | None, Option("--go", help="Go: an executable or a URL.")] = None
    inputs: Annotated[str | None, Option("--inputs", "-i", help="Topics to read, with commas between them.")] = None
    topics_pattern: Annotated[
        str | None, Option("--topics-pattern", "--topicsPattern", help="A pattern of topics to read.")
    ] = None
    input_specs: Annotated[
        str | None, Option("--input-specs", metavar="JSON", help="How each topic is read: {topic: settings}.")
    ] = None
    custom_serde_inputs: Annotated[
        str | None,
        Option("--custom-serde-inputs", "--customSerdeInputs", metavar="JSON", help="Topics to read: {topic: class}."),
    ] = None
    custom_schema_inputs: Annotated[
        str | None, Option("--custom-schema-inputs", metavar="JSON", help="Topics to read: {topic: settings in JSON}.")
    ] = None
    input_type_class_name: Annotated[
        str | None, Option("--input-type-class-name", help="The class of what is read.")
    ] = None
    output: Annotated[str | None, Option("--output", "-o", help="The topic that results go to.")] = None
    output_serde_class_name: Annotated[
        str | None,
        Option("--output-serde-classname", "--outputSerdeClassName", help="The class that serializes results."),
    ] = None
    output_schema_type: Annotated[
        str | None, Option("--schema-type", "-st", help="The schema of results: a builtin type or a class.")
    ] = None
    custom_schema_outputs: Annotated[
        str | None, Option("--custom-schema-outputs", metavar="JSON", help="The output: {topic: settings in JSON}.")
    ] = None
    output_type_class_name: Annotated[str | None, Option("--output-type-class-name", help="The class of results.")] = (
        None
    )
    producer_config: Annotated[
        str | None, Option("--producer-config", metavar="JSON", help="How results are sent.")
    ] = None
    batch_builder: Annotated[str | None, Option("--batch-builder", help="DEFAULT or KEY_BASED.")] = None
    forward_source_message_property: Annotated[
        Truth | None,
        Option(
            "--forward-source-message-property",
            metavar=BOOLEAN,
            case_sensitive=False,
            help="Give results the properties of their input [true].",
        ),
    ] = None
    log_topic: Annotated[str | None, Option("--log-topic", "--logTopic", help="A topic for the function's log.")] = None
    user_config: Annotated[
        str | None, Option("--user-config", "--userConfig", metavar="JSON", help="Values for the function to read.")
    ] = None
    secrets: Annotated[str | None, Option("--secrets", metavar="JSON", help="Secrets: {name: where it is}.")] = None
    processing_guarantees: Annotated[
        Guarantees | None,
        Option(
            "--processing-guarantees",
            "--processingGuarantees",
            case_sensitive=False,
            help="How often a message may be processed [ATLEAST_ONCE].",
        ),
    ] = None
    auto_ack: Annotated[
        Truth | None,
        Option(
            "--auto-ack",
            "--autoAck",
            metavar=BOOLEAN,
            case_sensitive=False,
            help="Whether messages are acknowledged for the function [true].",
        ),
    ] = None
    retain_ordering: Annotated[
        Truth | None,
        Option(
            "--retain-ordering",
            "--retainOrdering",
            metavar=BOOLEAN,
            case_sensitive=False,
            help="Process in order.",
        ),
    ] = None
    retain_key_ordering: Annotated[
        Truth | None,
        Option("--retain-key-ordering", metavar=BOOLEAN, case_sensitive=False, help="Process each key in order."),
    ] = None
    sub_name: Annotated[str | None, Option("--subs-name", help="The subscription's name.")] = None
    subscription_position: Annotated[
        Position | None,
        Option("--subs-position", case_sensitive=False, help="Where a new subscription begins [Latest]."),
    ] = None
    skip_to_latest: Annotated[
        Truth | None,
        Option("--skip-to-latest", metavar=BOOLEAN, case_sensitive=False, help="Begin at the latest message."),
    ] = None
    cleanup_subscription: Annotated[
        Truth | None,
        Option(
            "--cleanup-subscription",
            metavar=BOOLEAN,
            case_sensitive=False,
            help="Delete the subscription with the function [true].",
        ),
    ] = None
    timeout_ms: Annotated[
        int | None, Option("--timeout-ms", "--timeoutMs", help="Milliseconds until a message comes again.")
    ] = None
    max_message_retries: Annotated[
        int | None, Option("--max-message-retries", help="How often a message is tried again.")
    ] = None
    dead_letter_topic: Annotated[
        str | None, Option("--dead-letter-topic", help="A topic for messages that were tried often enough.")
    ] = None
    parallelism: Annotated[int | None, Option("--parallelism", help="How many instances run [1].")] = None
    cpu: Annotated[float | None, Option("--cpu", help="Cores of an instance.")] = None
    ram: Annotated[int | None, Option("--ram", help="Bytes of memory of an instance.")] = None
    disk: Annotated[int | None, Option("--disk", help="Bytes of disk of an instance.")] = None
    window_length_count: Annotated[
        int | None, Option("--window-length-count", "--windowLengthCount", help="Messages in a window.")
    ] = None
    window_length_duration_ms: Annotated[
        int | None,
        Option("--window-length-duration-ms", "--windowLengthDurationMs", help="Milliseconds of a window."),
    ] = None
    sliding_interval_count: Annotated[
        int | None,
        Option("--sliding-interval-count", "--slidingIntervalCount", help="Messages after which a window slides."),
    ] = None
    sliding_interval_duration_ms: Annotated[
        int | None,
        Option(
            "--sliding-interval-duration-ms",
            "--slidingIntervalDurationMs",
            help="Milliseconds after which a window slides.",
        ),
    ] = None
    custom_runtime_options: Annotated[
        str | None,
        Option("--custom-runtime-options", help='Of the runtime, e.g. {"magnetar": {"runtime": "thread"}}.'),
    ] = None
