"""Which runtime a function runs in. Pure."""

from collections.abc import Sequence

from magnetar_instance.proto.function import FunctionDetails

from magnetar.errors import RefusedError

_LANGUAGES = {FunctionDetails.JAVA: "JAVA", FunctionDetails.PYTHON: "PYTHON", FunctionDetails.GO: "GO"}


def language_of(details: FunctionDetails) -> str:
    """Return a function's language in Pulsar's spelling: JAVA, PYTHON or GO."""
    return _LANGUAGES.get(details.runtime, "JAVA")


def choose_runtime(language: str, asked: str | None, *, allowed: Sequence[str], default: str) -> str:
    """Return the runtime of a function.

    `asked` is what its customRuntimeOptions name, if anything; `allowed` and `default` are the worker's.
    Raises RefusedError with a sentence that says what to change.
    """
    chosen = asked or default
    if chosen not in allowed:
        raise RefusedError(
            f"customRuntimeOptions: the runtime {chosen!r} is not allowed on this worker; "
            f"its magnetar.runtimes has {', '.join(allowed)}"
        )
    if chosen == "thread" and language != "PYTHON":
        raise RefusedError(
            f"{language} functions can't run in the thread runtime, which is for Python: use the process runtime, "
            'e.g. customRuntimeOptions: \'{"magnetar": {"runtime": "process"}}\''
        )
    return chosen
