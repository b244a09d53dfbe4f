"""A provider of text messages that takes 300 ms for each, however many there are at a time.

It keeps connections open, as those of vendors do.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing, suppress
from itertools import count

TAKES = 0.3  # seconds
_ids = count(1)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            await _answer(reader, writer)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    await asyncio.sleep(TAKES)
    body = f'{{"sid": "SM{next(_ids):032x}", "status": "queued"}}'.encode()
    writer.write(
        b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    await writer.drain()


async def main() -> None:
    """Serve at the port of the command line."""
    server = await asyncio.start_server(_serve, "127.0.0.1", int(sys.argv[1]), backlog=500)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
