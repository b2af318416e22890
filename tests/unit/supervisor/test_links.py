"""The links to instances of ours: what is said on them, and who is pinged. The other end is held by the test."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from socket import socket

import anyio
import pytest
from magnetar.runtimes.base import Notice, Progress, Pulse, Ready
from magnetar.runtimes.process import links as module
from magnetar.runtimes.process.link import SupervisorLink
from magnetar.runtimes.process.links import Links

PERIOD = 0.2


class Instance:
    """An instance's end of a link; it is subscribed."""

    def __init__(self, link: SupervisorLink) -> None:
        assert link.theirs is not None
        self.link = link
        self.end: socket = link.theirs
        self.end.setblocking(False)
        self.told: list[Notice] = []
        self.say("ready")

    def say(self, event: str, **fields: object) -> None:
        self.end.send(json.dumps({"event": event, **fields}).encode() + b"\n")

    async def pinged(self) -> None:
        """Wait for a ping."""
        await anyio.wait_readable(self.end)
        assert json.loads(self.end.recv(1000)) == {"command": "ping"}

    async def answer(self) -> None:
        """Answer every ping."""
        while True:
            await self.pinged()
            self.say("pong")

    async def listen(self) -> None:
        async for notice in self.link.notices():
            self.told.append(notice)

    async def until(self, holds: Callable[[list[Notice]], bool]) -> None:
        with anyio.fail_after(60):
            while not holds(self.told):  # noqa: ASYNC110 - whoever listens is another task
                await anyio.sleep(0.01)


@asynccontextmanager
async def world(count: int = 1) -> AsyncIterator[list[Instance]]:
    links = Links(PERIOD)
    made = [Instance(links.open()) for _ in range(count)]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(links.run)
        for each in made:
            tasks.start_soon(each.listen)
        yield made
        for each in made:
            each.link.close()
        tasks.cancel_scope.cancel()
    links.close()


async def test_each_silent_instance_is_pinged_and_an_answer_is_no_news() -> None:
    """Instances that answer are pinged again and again, and nothing is told of it."""
    async with world(25) as instances:
        with anyio.fail_after(60):
            for _ in range(3):
                for each in instances:
                    await each.pinged()
                    each.say("pong")
        assert all(each.told == [Ready()] for each in instances)


async def test_an_instance_that_works_is_not_pinged() -> None:
    """Messages under way are judged by their progress; when they are done, silence counts again."""
    async with world(2) as (working, idle):
        working.say("progress", received=2, processed=1)
        await working.until(lambda told: Progress(2, 1) in told)
        with anyio.fail_after(60):
            for _ in range(5):
                await idle.pinged()
                idle.say("pong")
        with suppress(BlockingIOError):
            assert working.end.recv(1000).count(b"ping") <= 1  # one before it was heard that it works
        working.say("progress", received=2, processed=2)
        with anyio.fail_after(60):
            await working.pinged()


async def test_an_unanswered_ping_is_told_once_and_so_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance that hangs is told to, once; whatever it says later takes that back."""
    monkeypatch.setattr(module, "ANSWER_DEADLINE", 0.3)
    async with world(2) as (hanging, healthy), anyio.create_task_group() as tasks:
        tasks.start_soon(healthy.answer)
        await hanging.until(lambda told: len(told) > 1)
        hanging.say("pong")
        await hanging.until(lambda told: Pulse() in told)
        assert [each.problem != "" for each in hanging.told[1:3] if isinstance(each, Pulse)] == [True, False]
        tasks.cancel_scope.cancel()


async def test_what_was_said_before_the_end_is_heard_after_it() -> None:
    """A link that is closed with something unread tells it all, and then ends."""
    links = Links(PERIOD)
    instance = Instance(links.open())
    instance.say("progress", received=1, processed=1)
    instance.link.close()
    await instance.listen()
    assert instance.told == [Ready(), Progress(1, 1)]
    links.close()
