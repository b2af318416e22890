"""Functions that do not take one plain message after the other: `async def`, batches and windows, on an event loop."""
