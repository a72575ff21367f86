"""Users, their devices, chat links and pretend media on a virtual clock: everything around the core, simulated.

Without a seed's help nothing is random: signals take `Wire.delay`, media are ready at once, a path is found after
`PretendMedia.ice`. So stories can state times to the millisecond.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

from qbcall.core import events as ev
from qbcall.core.effects import DialLink, Drop, DropLink, Effect, Emit, MediaEffect, Transmit
from qbcall.core.engine import Engine
from qbcall.core.events import CallEvent, Event, LinkEvent, ParticipantJoined, ParticipantLeft
from qbcall.core.inputs import (
    AcceptCall,
    Arrived,
    Confirmed,
    CreateCall,
    GoOffline,
    GoOnline,
    HangUp,
    Input,
    LinkBroke,
    LinkUp,
    RejectCall,
    SendMessage,
    SendUpdate,
    StartCall,
)
from qbcall.core.model import CallHead, CallId, CallMedia, DeclineReason, Description, Device, User
from qbcall.core.policy import Policy
from qbcall.core.signals import Invite, Probe, RestartOffer, Signal
from qbcall.errors import LinkError, ServerUnreachable
from tests.core.pretend_media import PretendMedia
from tests.core.watch import Watch, show

Info = Mapping[str, str]
STALL = 3.0
"""Stall timeout of the stories, in seconds: unlike any other time of theirs."""
HEALTH_EVENTS = (ev.DirectionChanged, ev.HealthChanged, ev.MatrixChanged)


@dataclass(frozen=True, kw_only=True)
class Wire:
    """How signals travel between users."""

    delay: float = 0.01
    """Seconds."""
    jitter: float = 0.0
    """Up to so many seconds more, so that signals overtake each other."""
    loss: float = 0.0
    """Share of signals that get lost."""
    repeat: float = 0.0
    """Share of signals that arrive twice."""


class Node:
    """One device of a user."""

    def __init__(self, world: World, user: User, device: Device, policy: Policy) -> None:
        self.world = world
        self.user = user
        self.device = device
        self.resource = device
        """The full JID that its signals come from."""
        self.engine = Engine(user, policy, leads=lambda one, other: one > other)
        self.watch = Watch()
        self.told: list[tuple[float, Event]] = []
        self.sent: list[tuple[float, User, Signal]] = []
        """To others; what is for this user's own devices is not in it."""
        self.drops: list[str] = []
        self.effects: list[Effect] = []
        self.online = False
        self.login = 0
        """Counts the logins: what one of them was told does not concern the next."""
        self.alive = True
        self.reactions: list[tuple[type[Event], Callable[[Event], None]]] = []
        self._wake_at: float | None = None

    # -- wishes of the user ------------------------------------------------------------------------------------------

    def create(self, callees: Iterable[str], media: CallMedia = CallMedia.VIDEO) -> CallId:
        """Make a call."""
        call = CallId(f"call-{next(self.world.calls)}")
        self.do(CreateCall(call=call, callees=tuple(User(name) for name in callees), media=media))
        return call

    def call(
        self, callees: Iterable[str], info: Info | None = None, media: CallMedia = CallMedia.VIDEO, data: str = ""
    ) -> CallId:
        """Make a call, and dial."""
        call = self.create(callees, media)
        self.do(StartCall(call=call, info=info or {}, data=data))
        return call

    def accept(self, call: CallId | None = None, info: Info | None = None, data: str = "") -> None:
        """Accept a call; without an id, the newest."""
        self.do(AcceptCall(call=call or self.latest, info=info or {}, data=data))

    def reject(self, call: CallId | None = None, info: Info | None = None, *, busy: bool = False) -> None:
        """Reject a call; without an id, the newest."""
        reason = DeclineReason.BUSY if busy else DeclineReason.DECLINED
        self.do(RejectCall(call=call or self.latest, info=info or {}, reason=reason))

    def hang_up(self, call: CallId | None = None, info: Info | None = None) -> None:
        """Hang up a call; without an id, the newest."""
        self.do(HangUp(call=call or self.latest, info=info or {}))

    def say(self, data: str, to: str | None = None, *, type: str = "", **more: Any) -> str:
        """Send a typed signal in the newest call; its id is given back."""
        id = f"{self.user}{next(self.world.messages)}"
        target = None if to is None else User(to)
        self.do(SendMessage(call=self.latest, id=id, type=type, data=data, to=target, **more))
        return id

    def heard(self, sender: str | None) -> list[str]:
        """The data of the typed signals of a user, in the order in which they were told."""
        told = (event for _, event in self.told if isinstance(event, ev.Signal))
        return [event.data for event in told if event.sender == sender]

    def update(self, info: Info, to: str | None = None, call: CallId | None = None) -> None:
        """Tell application data in a call; without an id, the newest."""
        self.do(SendUpdate(call=call or self.latest, info=info, to=None if to is None else User(to)))

    @property
    def latest(self) -> CallId:
        """The newest call that was heard of."""
        return next(event.call for _, event in reversed(self.told) if isinstance(event, CallEvent))

    def on(self, what: type[Event], then: Callable[[], object], after: float = 0.0) -> None:
        """Whenever an event is told, do something."""
        self.reactions.append((what, lambda event: self.world.later(after, then)))

    # -- the driver --------------------------------------------------------------------------------------------------

    def do(self, what: Input) -> None:
        """Tell the engine something, now."""
        if self.alive:
            self._perform(self.engine.handle(what, self.world.now))

    def wake(self) -> None:
        """Let the timers that are due fall due."""
        self._wake_at = None
        self._perform(self.engine.advance(self.world.now))

    def _wake(self, at: float) -> None:
        if self._wake_at == at and self.alive:
            self.wake()

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            self.watch.see(effect, online=self.online)
            self.effects.append(effect)
            self._carry_out(effect)
        deadline = self.engine.next_deadline()
        if deadline is not None and deadline != self._wake_at:
            self._wake_at = deadline
            self.world.at(deadline, partial(self._wake, deadline))

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Emit(event):
                self.told.append((self.world.time, event))
                for what, then in self.reactions:
                    if isinstance(event, what):
                        then(event)
            case Transmit():
                self._transmit(effect)
            case MediaEffect():
                self.world.media.perform(self.device, self.user, effect)
            case DialLink():
                self.world.later(0.0, self._dialled)
            case DropLink():
                self.online = False
            case Drop():
                self.drops.append(effect.why)
            case _:
                pass

    def _transmit(self, effect: Transmit) -> None:
        if effect.ticket is not None and self.user not in self.world.silent:
            self.world.later(self.world.wire.delay, partial(self._confirm, effect.ticket, self.login))
        if effect.to != self.user:
            self.sent.append((self.world.time, effect.to, effect.signal))
        signal = effect.signal
        if isinstance(signal, (Probe, RestartOffer)):
            signal = replace(signal, head=effect.head)  # as dialects do
        self.world.carry(self, effect.to, signal)

    def _confirm(self, ticket: int, login: int) -> None:
        if self.online and self.login == login:
            self.do(Confirmed(ticket=ticket))

    def _dialled(self) -> None:
        if self.user in self.world.unlinked:
            self.do(LinkBroke(reason=ServerUnreachable("no route"), fatal=False))
        else:
            self.online = True
            self.login += 1
            self.do(LinkUp(device=self.device))


class World:
    """Everything that the engines live in."""

    def __init__(self, users: str = "AB", *, policy: Policy | None = None, wire: Wire | None = None, seed: int = 0):
        self.now = 0.0
        self.policy = policy or Policy(stall_timeout=STALL)
        self.wire = wire or Wire()
        self.random = Random(seed)
        self.media = PretendMedia(self)
        self.nodes: dict[Device, Node] = {}
        self.unlinked: set[User] = set()
        """Users without a chat link."""
        self.silent: set[User] = set()
        """Users whose signals get lost, in both directions."""
        self.cuts: set[frozenset[User]] = set()
        """Pairs between which no packet of media passes."""
        self.swallow: Callable[[User, User, Signal], bool] = lambda sender, to, signal: False
        """Which further signals get lost."""
        self.calls = itertools.count(1)
        self.messages = itertools.count(1)
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        for name in users:
            self.add(name)
        self.run_until(0.0)

    def __getitem__(self, name: str) -> Node:
        """The first device of a user, or a device by its name, e.g. `B/2`."""
        return self.nodes[Device(name if "/" in name else f"{name}/1")]

    def add(self, name: str, resource: str = "1", policy: Policy | None = None) -> Node:
        """One more device, which logs in."""
        node = Node(self, User(name), Device(f"{name}/{resource}"), policy or self.policy)
        self.nodes[node.device] = node
        node.do(GoOnline())
        return node

    # -- time --------------------------------------------------------------------------------------------------------

    @property
    def time(self) -> float:
        """Now, to the microsecond: sums of floats are not exact."""
        return round(self.now, 6)

    def later(self, delay: float, what: Callable[[], object]) -> None:
        """Do something after a while."""
        self.at(self.now + delay, what)

    def at(self, time: float, what: Callable[[], object]) -> None:
        """Do something at a time."""
        heapq.heappush(self._heap, (max(time, self.now), next(self._order), what))

    def run_until(self, time: float) -> None:
        """Let the time pass; whatever happens exactly then still happens."""
        while self._heap and self._heap[0][0] <= time + 1e-9:
            self.now, _, what = heapq.heappop(self._heap)
            what()
        self.now = max(self.now, time)

    def run(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.run_until(self.now + seconds)

    # -- signals and faults ------------------------------------------------------------------------------------------

    def carry(self, sender: Node, to: User, signal: Signal) -> None:
        """Bring a signal to all devices of a user, as well as the wire can."""
        if {sender.user, to} & self.silent or self.swallow(sender.user, to, signal):
            return
        for node in [node for node in self.nodes.values() if node.user == to]:
            for _ in range(2 if self._lucky(self.wire.repeat) else 1):
                if not self._lucky(self.wire.loss):
                    delay = self.wire.delay + self.wire.jitter * self.random.random()
                    self.later(delay, partial(self._arrive, node, sender, signal))

    def _arrive(self, node: Node, sender: Node, signal: Signal) -> None:
        if node.online and node.user not in self.unlinked:
            node.do(Arrived(sender=sender.user, device=sender.resource, signal=signal))

    def _lucky(self, share: float) -> bool:
        return share > 0 and self.random.random() < share

    def invite(
        self, sender: str, to: str, call: str = "forged", *, caller: str | None = None, callees: str = ""
    ) -> None:
        """An invitation out of nowhere."""
        names = tuple(User(name) for name in callees or to)
        head = CallHead(call=CallId(call), caller=User(caller or sender), callees=names, media=CallMedia.VIDEO)
        made = Invite(head=head, offer=Description("offer of a stranger"))
        self.signal(sender, to, made, resource="2" if sender == to else "1")

    def signal(self, sender: str, to: str, signal: Signal, resource: str = "1") -> None:
        """A signal out of nowhere arrives, now."""
        self[to].do(Arrived(sender=User(sender), device=Device(f"{sender}/{resource}"), signal=signal))

    def unlink(self, name: str) -> None:
        """A user's chat link breaks by accident."""
        self.unlinked.add(User(name))
        for node in self._devices(name):
            node.online = False
            node.do(LinkBroke(reason=LinkError("cut"), fatal=False))

    def relink(self, name: str) -> None:
        """Dialing the server works again."""
        self.unlinked.discard(User(name))

    def kill(self, name: str) -> None:
        """The process of a user ends without a word."""
        for node in self._devices(name):
            node.alive = node.online = False
            self.media.end(node.device)

    def cut(self, one: str, other: str) -> None:
        """No more packets of media between two users."""
        self.cuts.add(frozenset((User(one), User(other))))

    def heal(self, one: str, other: str) -> None:
        """Packets pass again."""
        self.cuts.discard(frozenset((User(one), User(other))))

    def go_offline(self, name: str) -> None:
        """A user logs out."""
        self[name].do(GoOffline())

    def _devices(self, name: str) -> list[Node]:
        return [node for node in self.nodes.values() if node.user == name]

    # -- the place of the media --------------------------------------------------------------------------------------

    def tell(self, device: Device, what: Input) -> None:
        """Tell an engine a fact."""
        self.nodes[device].do(what)

    def passes(self, every: float, step: float) -> bool:
        """Whether what happens every so many seconds happens in the present step."""
        return every <= step or self.now % every < step - 1e-6

    def reaches(self, one: User, other: User) -> bool:
        """Whether packets of media pass between two users."""
        alive = all(any(node.alive for node in self._devices(user)) for user in (one, other))
        return alive and not (self.cuts and frozenset((one, other)) in self.cuts)

    # -- what happened -----------------------------------------------------------------------------------------------

    def sent(self, name: str, what: type[Signal], to: str | None = None) -> list[float]:
        """When signals of a kind were sent."""
        return [at for at, whom, signal in self[name].sent if type(signal) is what and to in (None, whom)]

    def events(self, name: str, *what: type[Event]) -> list[tuple[float, Event]]:
        """Events of these classes, with their times."""
        return [(at, event) for at, event in self[name].told if isinstance(event, what)]

    def told(self, name: str, *what: type[Event]) -> list[str]:
        """Events as lines, without times; all of calls, unless classes are given."""
        return [show(event) for _, event in self.events(name, *(what or (CallEvent,)))]

    def story(self, name: str, since: float = 0.0) -> str:
        """What a user was told of calls, one line each: time, event; what media is received has tests of its own."""
        others = (LinkEvent, ParticipantJoined, ParticipantLeft, *HEALTH_EVENTS)
        lines = [(at, event) for at, event in self[name].told if at >= since and not isinstance(event, others)]
        return "\n".join(f"{at:.3f} {show(event)}" for at, event in lines)

    def states(self, name: str) -> dict[str, str]:
        """State of the connection to each user, in the only call."""
        (session,) = self[name].engine.sessions.values()
        return {user: peer.state.name for user, peer in session.peers.items()}

    def assert_silence(self) -> None:
        """Nothing is left: no call, no timer, no open media."""
        for node in self.nodes.values():
            if node.alive:
                assert node.engine.sessions == {}, f"{node.device}: calls are left"
                assert node.engine.next_deadline() is None, f"{node.device}: timers are left"
                assert node.watch.media == {}, f"{node.device}: media are open"
