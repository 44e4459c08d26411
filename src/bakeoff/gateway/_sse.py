"""Server-sent events, as chat APIs stream them."""

from __future__ import annotations

__all__ = ["EventDecoder"]


class EventDecoder:
    r"""Cuts a stream of bytes into the data of its events, wherever the network cut it.

    Understands the parts of the standard that APIs use: `data` fields (several lines are one event), comments and
    keep-alives, other fields (ignored), and lines that end in LF, CRLF or CR.

    Examples:
        >>> decoder = EventDecoder()
        >>> decoder.feed(b': hello\n\ndata: {"a"'), decoder.feed(b':1}\r\n\r\ndata: [DONE]\n\n')
        ([], [b'{"a":1}', b'[DONE]'])
    """

    __slots__ = ("_data", "_rest", "_skip_lf")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._skip_lf = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of every event that this chunk completes."""
        if self._skip_lf and chunk:
            chunk = chunk.removeprefix(b"\n")  # the other half of a CRLF
            self._skip_lf = False
        if not chunk:
            return []
        lines = (self._rest + chunk).splitlines(keepends=True) if self._rest else chunk.splitlines(keepends=True)
        self._rest = b""
        if lines and not lines[-1].endswith((b"\n", b"\r")):
            self._rest = lines.pop()
        elif lines and lines[-1].endswith(b"\r"):
            self._skip_lf = True
        events: list[bytes] = []
        for line in lines:
            self._line(line.rstrip(b"\r\n"), events)
        return events

    def close(self) -> list[bytes]:
        """Return the data of an event that the end of the stream completes."""
        events: list[bytes] = []
        if self._rest:
            self._line(self._rest, events)
            self._rest = b""
        self._line(b"", events)
        return events

    def _line(self, line: bytes, events: list[bytes]) -> None:
        if not line:
            if self._data:
                events.append(b"\n".join(self._data) if len(self._data) > 1 else self._data[0])
                self._data = []
            return
        if line.startswith(b"data"):
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
