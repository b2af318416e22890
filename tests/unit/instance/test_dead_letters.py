from magnetar_instance.dead_letters import Attempts, default_topic


def test_failures_are_counted_by_message_and_forgotten() -> None:
    """Each message has a count of its own; only the latest messages are remembered."""
    attempts = Attempts(most=2)
    assert [attempts.failed("t", b"1"), attempts.failed("t", b"1"), attempts.failed("u", b"1")] == [1, 2, 1]
    attempts.forget("t", b"1")
    assert attempts.failed("t", b"1") == 1
    attempts.failed("t", b"2")
    assert attempts.failed("u", b"1") == 1


def test_the_default_topic_is_a_valid_name() -> None:
    """Pulsar's default holds the subscription, whose slashes no topic can have."""
    assert default_topic("persistent://public/default/in-partition-2", "public/default/f") == (
        "persistent://public/default/in-public-default-f-DLQ"
    )
