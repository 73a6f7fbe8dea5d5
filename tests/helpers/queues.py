"""The `cycle` model a second time: one object per station, written from its description."""

from __future__ import annotations

import heapq
from collections import deque


class Station:
    """A link, or the receiving half of a core."""

    def __init__(self, number: int, buffer: int) -> None:
        self.number, self.buffer = number, buffer
        self.queue, self.outside = deque(), deque()
        self.serving = None

    @property
    def full(self) -> bool:
        return len(self.queue) + (self.serving is not None) >= self.buffer


class Mesh:
    """Follows the messages of one time step.

    Args:
        cores: {core: (gaps and messages in order, time after the last one)}; a message is
            (target core, time there).
        where: (column, row) of each core.
        link_ns: function of (column, row, direction).
        width: columns of the mesh.
        height: its rows.
        buffer: messages a station holds.
    """

    def __init__(self, cores, where, link_ns, width: int, height: int, buffer: int) -> None:
        self.cores, self.where, self.link_ns, self.width = cores, where, link_ns, width
        links = [Station(i, buffer) for i in range(width * height * 4)]
        ends = [Station(len(links) + core, buffer) for core in sorted(where)]
        self.stations, self.links = links + ends, len(links)
        self.events, self.last = [], 0.0
        self.sent = dict.fromkeys(cores, 0)
        self.tile = {}
        self.inside = {}

    def run(self) -> float:
        for core in sorted(self.cores):
            self.proceed(core, 0.0)
        while self.events:
            now, number = heapq.heappop(self.events)
            if number >= len(self.stations):
                self.emit(number - len(self.stations), now)
            else:
                self.finish(self.stations[number], now)
        return self.last

    def proceed(self, core: int, now: float) -> None:
        messages, rest = self.cores[core]
        if self.sent[core] < len(messages):
            gap, _ = messages[self.sent[core]]
            heapq.heappush(self.events, (now + gap, len(self.stations) + core))
        else:
            self.last = max(self.last, now + rest)

    def emit(self, core: int, now: float) -> None:
        message = (core, self.sent[core])
        self.tile[message] = self.where[core]
        station = self.following(message)
        if station.full:
            station.outside.append(message)
        else:
            self.accept(station, message, now)

    def accept(self, station: Station, message, now: float) -> None:
        before = self.inside.get(message)
        self.inside[message] = station
        station.queue.append(message)
        if station.serving is None:
            self.serve(station, now)
        if before is None:
            self.sent[message[0]] += 1
            self.proceed(message[0], now)

    def serve(self, station: Station, now: float) -> None:
        message = station.serving = station.queue.popleft()
        if station.number < self.links:
            tile, way = divmod(station.number, 4)
            time = self.link_ns(tile % self.width, tile // self.width, way)
        else:
            time = self.target(message)[1]
        heapq.heappush(self.events, (now + time, station.number))

    def finish(self, station: Station, now: float) -> None:
        message = station.serving
        if station.number >= self.links:
            self.last = max(self.last, now)
            self.free(station, now)
            return
        x, y = self.tile[message]
        step = ((1, 0), (-1, 0), (0, 1), (0, -1))[station.number % 4]
        self.tile[message] = (x + step[0], y + step[1])
        following = self.following(message)
        if following.full:
            following.outside.append(message)
            return
        self.accept(following, message, now)
        self.free(station, now)

    def free(self, station: Station, now: float) -> None:
        station.serving = None
        if station.queue:
            self.serve(station, now)
        if station.outside:
            message = station.outside.popleft()
            before = self.inside.get(message)
            self.accept(station, message, now)
            if before is not None:
                self.free(before, now)

    def target(self, message):
        return self.cores[message[0]][0][message[1]][1]

    def following(self, message) -> Station:
        x, y = self.tile[message]
        core = self.target(message)[0]
        to_x, to_y = self.where[core]
        if (x, y) == (to_x, to_y):
            return self.stations[self.links + core]
        way = (0 if x < to_x else 1) if x != to_x else (2 if y < to_y else 3)
        return self.stations[(y * self.width + x) * 4 + way]
