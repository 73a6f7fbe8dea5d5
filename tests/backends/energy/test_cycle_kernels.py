"""The heap of events and the loop of the cycle model alone, whatever stands beyond their ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.backends.energy.cycle_kernels import (
    NONE,
    Neurons,
    State,
    generate,
    pop,
    push,
    run_step,
    run_steps,
    sink,
)

EVENT = st.tuples(st.integers(0, 4), st.integers(0, 60))
"""Time and whose it is: few times, so that many are equal."""


class Heap:
    """Room for some events between numbers that are no events."""

    def __init__(self, room: int, beyond: float) -> None:
        self.times = np.full(room + 3, beyond)
        self.keys = np.full(room + 3, -5, np.int64)
        self.size = 0

    def push(self, event: tuple[float, int]) -> None:
        self.size = push(self.times, self.keys, self.size, *event)

    def pop(self) -> tuple[float, int]:
        first = float(self.times[0]), int(self.keys[0])
        self.size = pop(self.times, self.keys, self.size)
        return first


@settings(max_examples=100, deadline=None)
@given(
    events=st.lists(EVENT, min_size=1, max_size=40, unique=True),
    beyond=st.sampled_from([-1.0, 99.0]),
)
def test_events_come_in_the_order_of_time_then_key(events, beyond):
    heap = Heap(len(events), beyond)
    for event in events:
        heap.push((float(event[0]), event[1]))
    assert heap.size == len(events)
    assert [heap.pop() for _ in events] == sorted(events)
    assert heap.size == 0


@settings(max_examples=100, deadline=None)
@given(
    events=st.lists(EVENT, min_size=1, max_size=40, unique=True),
    late=EVENT,
    beyond=st.sampled_from([-1.0, 99.0]),
)
def test_an_event_in_the_place_of_the_first(events, late, beyond):
    heap = Heap(len(events), beyond)
    for event in events:
        heap.push((float(event[0]), event[1]))
    sink(heap.times, heap.keys, heap.size, float(late[0]), late[1])
    assert [heap.pop() for _ in events] == sorted([*sorted(events)[1:], late])


def make_state(
    ways: list[list[int]], gaps: list[list[float]], tails: list[float], buffer: int, links: int
) -> State:
    """Return the state before a step in which every axon sends one message.

    Args:
        ways: stations of each message, core by core: links, at the end links + receiving core.
        gaps: per core, the time before each of its messages.
        tails: per core, the time after its last message.
        buffer: messages that a station holds.
        links: number of them; each takes 4 ns, a message at its core 30 ns.
    """
    cores, messages = len(gaps), len(ways)
    stations = links + cores
    none = np.full(messages, 77)
    return State(
        axon_pair=np.arange(messages),
        way_start=np.cumsum([0, *map(len, ways)]),
        way=np.array([station for way in ways for station in way], np.int64),
        receive_ns=np.full(messages, 30.0),
        link_ns=np.full(links, 4.0),
        buffer=buffer,
        gap=np.array([gap for own in gaps for gap in own], float),
        axon_of=np.arange(messages),
        first=np.cumsum([0, *map(len, gaps)]),
        tail=np.array(tails, float),
        held=np.zeros(stations, np.int64),
        queue=np.full((stations, 5), NONE),
        following=none.copy(),
        holder=none.copy(),
        stage=none.copy(),
        position=np.full(cores, 77),
        times=np.full(stations + cores + 1, -1.0),
        keys=np.full(stations + cores + 1, -5),
        size=np.full(2, 77),
        sent=np.zeros(messages),
        begun=np.zeros(messages),
        done=np.zeros(messages),
        last=np.full(1, 1e9),
    )


def test_nothing_is_sent():
    """The step takes as long as the core that works longest; what was there before is gone."""
    assert run_step(make_state([], [[], []], [5.0, 3.0], 1, 1)) == 5.0
    assert run_step(make_state([], [[], []], [0.0, 0.25], 1, 1)) == 0.25


def test_one_message_by_hand():
    """Core 0 works 7 ns, then 2; one link of 4 ns, 30 ns at core 1."""
    s = make_state([[0, 2]], [[7.0], []], [2.0, 0.0], 1, 1)
    assert run_step(s) == 41.0
    assert (s.sent[0], s.begun[0], s.done[0]) == (7.0, 11.0, 41.0)
    assert s.held.tolist() == [0, 0, 0]
    assert (s.queue[:, [0, 1, 3]] == NONE).all()


def test_a_core_that_works_on_after_its_last_message():
    assert run_step(make_state([[0, 2]], [[7.0], []], [50.0, 0.0], 1, 1)) == 57.0


# Messages that a station holds; when messages 0 and 1 of core 0 and 2 of core 1 are sent, and when
# core 2 begins them.
SHARED_LINK = [
    (9, [0, 0, 0], [4, 34, 64]),
    (2, [0, 0, 4], [4, 34, 64]),
    (1, [0, 4, 34], [4, 34, 64]),
]


@pytest.mark.parametrize("buffer, sent, begun", SHARED_LINK)
def test_two_cores_share_a_link(buffer, sent, begun):
    """Both send at 0 over link 0 to core 2; of equal times core 0 comes first.

    With room for one, the second message of core 0 waits for the link, behind core 1's.
    """
    s = make_state([[0, 3], [0, 3], [0, 3]], [[0.0, 0.0], [0.0], []], [0.0] * 3, buffer, 1)
    assert run_step(s) == 94.0
    order = np.argsort(s.begun)
    assert s.begun[order].tolist() == begun
    assert sorted(s.sent.tolist()) == sent
    assert (s.done - s.begun == 30).all()
    assert s.held.tolist() == [0, 0, 0, 0]
    assert (s.queue[:, [0, 1, 3]] == NONE).all()


def test_a_core_that_waited_goes_on():
    """With room for one, message 1 enters the link at 4 and message 2 at 34; 500 ns follow."""
    s = make_state([[0, 2]] * 3, [[0.0, 0.0, 10.0], []], [500.0, 0.0], 1, 1)
    assert run_step(s) == 534.0
    assert s.sent.tolist() == [0.0, 4.0, 34.0]
    assert s.begun.tolist() == [4.0, 34.0, 64.0]


def test_the_core_that_waited_goes_on_and_no_other():
    """Core 1 waits for the link until 4, then works for 700 ns."""
    s = make_state([[0, 3], [0, 3]], [[0.0], [0.0], []], [0.0, 700.0, 0.0], 1, 1)
    assert run_step(s) == 704.0
    assert s.sent.tolist() == [0.0, 4.0]


GAPS = st.lists(st.integers(0, 60), max_size=4)


@settings(max_examples=60, deadline=None)
@given(gaps=st.lists(GAPS, min_size=1, max_size=5))
def test_a_link_with_room_serves_in_the_order_of_arrival(gaps):
    """Cores never wait: each sends after its gaps; link and receiver take 4 and 30 ns each."""
    cores = len(gaps)
    arrivals = [
        (sum(own[: i + 1]), core, i) for core, own in enumerate(gaps) for i in range(len(own))
    ]
    s = make_state(
        [[0, 1 + cores]] * len(arrivals),
        [[float(gap) for gap in own] for own in [*gaps, []]],
        [0.0] * (cores + 1),
        99,
        1,
    )
    run_step(s)
    assert s.sent.tolist() == [sent for sent, _, _ in arrivals]
    passed, served, begun = 0, 0, {}
    for sent, core, i in sorted(arrivals):
        passed = max(passed, sent) + 4
        begun[core, i] = max(passed, served)
        served = begun[core, i] + 30
    assert s.begun.tolist() == [begun[core, i] for _, core, i in arrivals]


def make_neurons() -> Neurons:
    """Return neurons 2, 0 on core 0, none on core 1, neuron 1 on core 2, with 2, 0, 1 axons.

    A neuron takes 10 ns more with each status, and 100 ns if it spikes; neuron 1 is of a part that
    takes a thousand times as long. Axon i is sent in i + 1 ns.
    """
    each = np.array([[1.0, 101.0], [11.0, 111.0], [21.0, 121.0], [31.0, 131.0]])
    return Neurons(
        order=np.array([2, 0, 1]),
        core_start=np.array([0, 2, 2, 3]),
        part_of=np.array([0, 1, 0]),
        neuron_ns=np.stack([each, 1000 * each]),
        axon_start=np.array([0, 2, 2, 3]),
        send_ns=np.array([1.0, 2.0, 3.0]),
        fired=np.zeros(3, np.uint8),
    )


# Neurons that spike, status of each; gaps and axons of the messages, the first of each core, tails.
STEPS = [
    ([], [0, 0, 0], [], [], [0, 0, 0, 0], [2, 0, 1000]),
    ([0], [3, 1, 2], [21 + 131 + 1, 2], [0, 1], [0, 2, 2, 2], [0, 0, 11000]),
    ([2], [0, 0, 0], [101 + 3], [2], [0, 1, 1, 1], [1, 0, 1000]),
    ([2, 1, 0], [0, 0, 0], [104, 102, 2], [2, 0, 1], [0, 3, 3, 3], [0, 0, 101000]),
]


@pytest.mark.parametrize("spikes, status, gaps, axons, first, tails", STEPS)
def test_messages_of_a_step_by_hand(spikes, status, gaps, axons, first, tails):
    """Each begins after the neurons since the last one of its core; its own axon's time counts."""
    neurons = make_neurons()
    gap, axon_of = np.full(9, 77.0), np.full(9, 77)
    starts, tail = np.full(4, 77), np.full(3, 77.0)
    spiking = np.array(spikes, np.int64)
    generate(neurons, spiking, np.array(status), gap, axon_of, starts, tail)
    assert gap.tolist() == [*gaps, *[77.0] * (9 - len(gaps))]
    assert axon_of.tolist() == [*axons, *[77] * (9 - len(axons))]
    assert (starts.tolist(), tail.tolist()) == (first, tails)
    assert neurons.fired.tolist() == [0, 0, 0]


def test_steps_are_followed_one_by_one():
    """Axons 0 and 1 go over the link to core 1, axon 2 stays on core 0: 30 ns each.

    Neuron 2 spikes in the second step, 0 and 2 in the fourth.
    """
    links, ways = 1, [[0, 2], [0, 2], [1]]
    s = make_state(ways, [[0.0] * 3, [], []], [0.0] * 3, 9, links)
    start, spikes = np.array([0, 0, 1, 1, 3]), np.array([2, 0, 2])
    longest = np.full(4, 77.0)
    neurons = make_neurons()._replace(neuron_ns=np.ones((2, 4, 2)))
    run_steps(s, neurons, start, spikes, np.zeros((4, 3), np.int64), longest)
    # 1 + 3 + 30; then axon 0 at 1 + 3 + 1 + 1, 1 at 8: core 1 begins at 10 and ends after two.
    assert longest.tolist() == [2.0, 34.0, 2.0, 70.0]


# What the link takes, and the step with room for one message at each station.
OVERTAKEN = [(4.0, 152.0), (8.0, 122.0)]


@pytest.mark.parametrize("link, took", OVERTAKEN)
def test_a_slower_link_may_let_a_core_go_on_sooner(link, took):
    """Core 1 sends to itself at 32 and has 90 ns of work left; core 2 sends to it at 28.

    Over a link of 4 ns the second is there first, and core 1 waits 30 ns to put its own message
    down; over one of 8 ns it comes later, and core 1 goes on at once.
    """
    s = make_state([[2], [0, 2]], [[], [32.0], [28.0]], [69.0, 90.0, 75.0], 1, 1)
    assert run_step(s._replace(link_ns=np.array([link]))) == took


def test_a_smaller_buffer_may_let_a_core_go_on_sooner():
    ways = [[0, 1, 2], [1, 4], [0, 1, 2], [0, 1, 2], [0, 1, 3]]
    gaps, tails = [[1.0, 6.0], [21.0, 15.0], [0.0]], [26.0, 23.0, 94.0]
    assert run_step(make_state(ways, gaps, tails, 2, 2)) == 106.0
    assert run_step(make_state(ways, gaps, tails, 1, 2)) == 102.0


@settings(max_examples=200, deadline=None)
@given(
    gaps=st.lists(st.integers(0, 50), min_size=1, max_size=12),
    tail=st.integers(0, 200),
    links=st.lists(st.integers(0, 60), min_size=1, max_size=4),
    slower=st.lists(st.integers(0, 60), min_size=4, max_size=4),
    buffer=st.integers(1, 4),
    less=st.integers(0, 3),
)
def test_messages_of_one_way_are_never_faster_over_slower_links_or_with_less_room(
    gaps, tail, links, slower, buffer, less
):
    """Where all take one way, none overtakes another, and a delay only adds up."""
    n = len(links)
    ways, given_gaps = [[*range(n), n + 1]] * len(gaps), [[float(g) for g in gaps], []]
    s = make_state(ways, given_gaps, [float(tail), 0.0], buffer, n)
    before = run_step(s._replace(link_ns=np.array(links, float)))
    s = make_state(ways, given_gaps, [float(tail), 0.0], max(1, buffer - less), n)
    more = np.array(links, float) + slower[:n]
    assert run_step(s._replace(link_ns=more)) >= before
