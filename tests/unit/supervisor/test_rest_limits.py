import httpx
import pytest
from magnetar.config import load_config
from magnetar.rest.limits import Bucket, RateLimit
from magnetar.rest.settings import rest_settings
from starlette.responses import PlainTextResponse


def test_a_rate_is_kept() -> None:
    """A second's worth may come at once, then one for each part of a second that has passed."""
    now = [100.0]
    bucket = Bucket(10, lambda: now[0])
    assert [bucket.take() for _ in range(11)] == [True] * 10 + [False]
    now[0] += 0.25
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now[0] += 60
    assert sum(bucket.take() for _ in range(20)) == 10


def test_a_low_rate_lets_something_through() -> None:
    """Less than one a second is one every few seconds, not none."""
    now = [0.0]
    bucket = Bucket(0.5, lambda: now[0])
    assert bucket.take()
    now[0] += 1
    assert not bucket.take()
    now[0] += 1
    assert bucket.take()


def test_the_keys_of_the_worker_choose_the_rate() -> None:
    """A limit holds where it is asked for, at Pulsar's default of a hundred a second or another."""
    assert rest_settings(load_config()).max_requests_per_second is None
    asked = {"httpRequestsLimitEnabled": True}
    assert rest_settings(load_config(None, asked)).max_requests_per_second == 100
    assert rest_settings(load_config(None, {**asked, "httpRequestsMaxPerSecond": 2.5})).max_requests_per_second == 2.5


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_too_many_are_told() -> None:
    """What is above the rate gets 429 with the key that allows more."""
    app = RateLimit(PlainTextResponse("ok"), 2)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        answers = [await client.get("/") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "httpRequestsMaxPerSecond" in answers[2].json()["reason"]
