"""JSON from strangers. Pure."""

import json
import math
from typing import Any

from magnetar.errors import RefusedError


def read_json(text: bytes, what: str) -> Any:
    """Return what a JSON text holds, which every later step can store. Raises RefusedError that names `what`."""
    try:
        value = json.loads(text.decode("utf-8-sig"), parse_constant=_no_number, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise RefusedError(f"{what} is not text in UTF-8: {error.reason}") from None
    except RecursionError:
        raise RefusedError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise RefusedError(f"{what} is no JSON: {error}") from None
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text} is too large")
    return value


def header_value(text: str) -> str:
    """Return a text as it can stand in a header: one line of ASCII."""
    return " ".join(text.split()).encode("unicode_escape").decode()
