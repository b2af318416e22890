"""The inputs of a function, as its details name them."""

from magnetar_instance.proto.function import ConsumerSpec, FunctionDetails


def specs_of(details: FunctionDetails) -> dict[str, ConsumerSpec]:
    """Return the inputs by topic, those of Pulsar's older fields among them."""
    source = details.source
    specs = dict(source.inputSpecs)
    for topic, serde in source.topicsToSerDeClassName.items():
        specs.setdefault(topic, ConsumerSpec(serdeClassName=serde))
    if source.topicsPattern:
        specs.setdefault(source.topicsPattern, ConsumerSpec(isRegexPattern=True))
    return specs


def patterns_of(details: FunctionDetails) -> list[str]:
    """Return the inputs that are patterns of topics."""
    return [topic for topic, spec in specs_of(details).items() if spec.isRegexPattern]
