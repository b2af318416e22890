import pytest
from magnetar.runtimes.process.last_words import LastWords, of_java, plain

CHATTER = (
    "Using function root classloader: jdk.internal.loader.ClassLoaders$AppClassLoader@5ffd2b27",
    "Starting function instance...",
)
LOG = """\
2026-11-24T04:02:46,681+0000 [public/default/f-0] ERROR o.a.p.JavaInstanceRunnable - Sink open produced uncaught exception:
java.lang.IllegalStateException: earlier
2026-11-24T04:02:46,749+0000 [public/default/f-0] ERROR o.a.JavaInstanceRunnable - [f:0] Uncaught exception in Java Instance
java.lang.RuntimeException: {head}
\tat org.apache.pulsar.common.util.Reflections.createInstance(Reflections.java:59) ~[pulsar-common-4.0.7.jar:4.0.7]
\t... 5 more
Caused by: {cause}
\tat java.net.URLClassLoader.findClass(URLClassLoader.java:445) ~[?:?]
2026-11-24T04:02:46,827+0000 [main] INFO  o.a.p.JavaInstanceStarter - RuntimeSpawner quit, shutting down JavaInstance
2026-11-24T04:02:46,858+0000 [main] INFO  o.a.p.PulsarClientImpl - Client closing. URL: pulsar://127.0.0.1:1"""


def log(head: str, cause: str) -> list[str]:
    return [*CHATTER, *LOG.format(head=head, cause=cause).splitlines()]


def test_javas_cause_is_found_above_its_last_lines() -> None:
    """The last error of the log with its exceptions; frames and what was logged afterwards are left out."""
    words = of_java(0, log("User class must be in class path", "java.lang.ClassNotFoundException: examples.Missing"))
    assert words.final
    assert words.lines[0].endswith("Uncaught exception in Java Instance")
    assert words.lines[1:] == (
        "java.lang.RuntimeException: User class must be in class path",
        "Caused by: java.lang.ClassNotFoundException: examples.Missing",
    )


def test_a_broker_that_is_away_is_worth_another_start() -> None:
    """Nothing of the package is at fault."""
    assert not of_java(0, log("PulsarClientException", "java.net.ConnectException: Connection refused")).final


@pytest.mark.parametrize(
    ("lines", "told", "final"),
    [
        (
            ["Unrecognized VM option 'Nonsense'", "Error: Could not create the Java Virtual Machine."],
            ("Unrecognized VM option 'Nonsense'",),
            True,
        ),
        (
            ["Error occurred during initialization of VM", "Could not reserve enough space for object heap"],
            ("Error occurred during initialization of VM", "Could not reserve enough space for object heap"),
            False,
        ),
    ],
    ids=["flag", "memory"],
)
def test_a_machine_that_did_not_come_up_says_why(lines: list[str], told: tuple[str, ...], final: bool) -> None:
    """A wrong flag is final; memory may be free again later."""
    assert of_java(1, lines) == LastWords(told, final=final)


def test_what_was_printed_is_told_without_the_time_before_it() -> None:
    """As it was printed, and judged as such."""
    printed = ["2026-11-24T06:49:48,464+0000 [main] INFO  stderr - picocli.CommandLine$ParameterException: Unknown --x"]
    assert of_java(2, printed).lines == ("picocli.CommandLine$ParameterException: Unknown --x",)


def test_an_end_without_an_error_tells_the_last_lines() -> None:
    """Without the chatter of every start."""
    assert of_java(3, [*CHATTER, "printed", "bye"]) == LastWords(("printed", "bye"))


def test_other_programs_tell_their_last_lines() -> None:
    """Ten at most; a wrong configuration and a file that is no program are final."""
    lines = [str(number) for number in range(30)]
    assert plain(1, lines) == LastWords(tuple(lines[-10:]))
    assert plain(78, lines).final
    assert plain(127, lines).final
    assert not plain(None, lines).final
