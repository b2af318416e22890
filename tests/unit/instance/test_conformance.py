import pytest
from magnetar_instance.conformance import FIELDS, all_fields, refusals
from magnetar_instance.proto.function import FunctionDetails


def test_every_field_has_its_verdict() -> None:
    """The table names exactly the fields that there are."""
    assert set(FIELDS) == set(all_fields(FunctionDetails.DESCRIPTOR))


def test_what_is_refused_or_mere_advice_says_why() -> None:
    """No field is passed over in silence."""
    assert all(verdict.why for verdict in FIELDS.values() if verdict.kind in {"refused", "advice"})


def test_a_refused_field_is_named() -> None:
    """Only fields that are set are judged, those inside of maps too."""
    details = FunctionDetails(builtin="x", name="f")
    details.source.inputSpecs["in"].messagePayloadProcessorSpec.className = "java.Class"
    named = {sentence.partition(" ")[0] for sentence in refusals(details)}
    assert named == {"source.inputSpecs.messagePayloadProcessorSpec.className", "builtin"}
    assert list(refusals(FunctionDetails(name="f"))) == []


@pytest.mark.parametrize("path", [path for path, verdict in FIELDS.items() if verdict.kind == "refused"])
def test_each_refused_field_refuses(path: str) -> None:
    """Setting the field alone is enough."""
    details = FunctionDetails()
    target = details
    *parents, last = path.split(".")
    for name in parents:
        target = target.inputSpecs["in"] if name == "inputSpecs" else getattr(target, name)
    setattr(target, last, "x")
    assert [sentence.partition(" ")[0] for sentence in refusals(details)] == [path]
