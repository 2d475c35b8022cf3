"""Interrupts that wait until a run stands between two ticks."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Within ``with``, Ctrl-C is noted, and takes effect when :meth:`let` is called or at the end.

    Threads that meet at barriers are thus never left by one of them. Off the main thread, or where Ctrl-C is ignored,
    nothing is changed.
    """

    def __init__(self) -> None:
        self.noted: FrameType | bool | None = None
        self._usual: Any = None

    def __enter__(self) -> Interrupts:
        usual = signal.getsignal(signal.SIGINT)
        if callable(usual) and threading.current_thread() is threading.main_thread():
            self._usual = usual
            signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.noted = frame or True

    def let(self) -> None:
        """Let a noted interrupt take effect, as a rule as :class:`KeyboardInterrupt`."""
        noted, self.noted = self.noted, None
        if noted is not None:
            self._usual(signal.SIGINT, noted if isinstance(noted, FrameType) else None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._usual is not None:
            signal.signal(signal.SIGINT, self._usual)
        if kind is None:
            self.let()
