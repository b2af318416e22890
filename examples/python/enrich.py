"""Asks a service about each input: up to a thousand requests are under way, and outputs keep the order of inputs."""

import asyncio

from pulsar import Function


class Enrich(Function):
    async def process(self, input, context):
        return f"{input}: {await self.ask(input)}"

    async def ask(self, word):
        await asyncio.sleep(0.05)  # stands for a request to a service
        return len(word)
