"""Whose message goes next, so that nobody's flood or dead provider holds up another's codes."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A message that could be sent now.

    Attributes:
        urgent: whether a person waits for it.
    """

    id: uuid.UUID
    organization_id: uuid.UUID
    urgent: bool


class Turns:
    """Counts what one sender has on its way, and chooses what begins next.

    Codes go before notices, which never take more than half of the hands. The next turn is that of
    the organization with the least on its way. None has more than `hands`, and there are some more
    than that, so another one finds a hand free while a provider keeps all of the first.

    Args:
        hands: so many messages of one organization are on their way at the same time.
    """

    def __init__(self, hands: int) -> None:
        self.all_hands = hands + max(1, hands // 4)
        self._hands = hands
        self._lanes: dict[bool, dict[uuid.UUID, deque[Waiting]]] = {True: {}, False: {}}
        self._of_organization: Counter[uuid.UUID] = Counter()
        self._notices = 0
        self._took_at = 0.0
        self._came_back = 0
        self._changed = threading.Condition()

    @property
    def on_way(self) -> int:
        """How much is on its way."""
        return self._of_organization.total()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits that this sender knows of."""
        return not any(self._lanes.values())

    def offer(self, waiting: Sequence[Waiting]) -> None:
        """Put these, the oldest of each organization first, in the place of all that waited."""
        lanes: dict[bool, dict[uuid.UUID, deque[Waiting]]] = {True: {}, False: {}}
        for one in waiting:
            lanes[one.urgent].setdefault(one.organization_id, deque()).append(one)
        with self._changed:
            self._lanes = lanes

    def rest(self, *, seconds: float) -> None:
        """Wait until so long after the last time something began, so that more begins at once.

        It ends before, once a quarter of the hands came back, which would stand idle.
        """
        with self._changed:
            left = self._took_at + seconds - time.monotonic()
            if left > 0:
                self._changed.wait_for(lambda: self._came_back >= self._hands // 4, left)

    def take(self, *, seconds: float) -> list[Waiting]:
        """Return what begins now, counted as on its way; each must be given back.

        Args:
            seconds: to wait for a hand, if none is free for anything that waits.
        """
        with self._changed:
            taken = self._take_all()
            if not taken and not self.is_empty:
                self._changed.wait(seconds)
                taken = self._take_all()
            if taken:
                self._took_at, self._came_back = time.monotonic(), 0
        return taken

    def give_back(self, waiting: Waiting) -> None:
        """Let a hand be free again."""
        with self._changed:
            self._came_back += 1
            self._of_organization[waiting.organization_id] -= 1
            if not self._of_organization[waiting.organization_id]:
                del self._of_organization[waiting.organization_id]
            self._notices -= not waiting.urgent
            self._changed.notify_all()

    def wait_until_idle(self, *, seconds: float) -> bool:
        """Wait until nothing is on its way any more, and tell whether it came to that."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._of_organization, seconds)

    def _take_all(self) -> list[Waiting]:
        taken = []
        while (one := self._next()) is not None:
            self._of_organization[one.organization_id] += 1
            self._notices += not one.urgent
            taken.append(one)
        return taken

    def _next(self) -> Waiting | None:
        if self._of_organization.total() >= self.all_hands:
            return None
        if (code := self._pop(urgent=True)) is not None:
            return code
        return self._pop(urgent=False) if self._notices < max(1, self._hands // 2) else None

    def _pop(self, *, urgent: bool) -> Waiting | None:
        lane, on_way = self._lanes[urgent], self._of_organization
        free = [one for one in lane if on_way[one] < self._hands]
        if not free:
            return None
        chosen = min(free, key=on_way.__getitem__)  # of equals, whose first has waited longest
        one = lane[chosen].popleft()
        if not lane[chosen]:
            del lane[chosen]
        return one
