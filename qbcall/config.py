"""What can be configured, as frozen models. `config_layers.load` reads them from flags, environment and files.

Programs build the same models: `Config.of(account={"jid": "ann@example.org"}, call={"answer_timeout": 20})`.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, Strict, ValidationInfo, field_validator

from qbcall.adapters.xmpp_settings import XmppSettings
from qbcall.config_problems import validated
from qbcall.core.impairment_text import MOST_SEED, parse_impairment, with_seed
from qbcall.core.model import User
from qbcall.core.policy import Policy
from qbcall.dialects.jid import bare_jid
from qbcall.errors import ConfigError, InvalidArgument, Problem
from qbcall.media.frames import VideoFormat, check_bandwidth

if TYPE_CHECKING:
    from qbcall.adapters.rtc_addresses import IceSettings

_SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s\[\]:/@]+):(?P<port>[0-9]{1,5})")
_ICE_URL = re.compile(r"(stuns?|turns?):[^\s/]+")
_DEFAULTS = Policy()
_FORMAT = VideoFormat()

Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
OptionalPath = Annotated[Path | None, BeforeValidator(lambda value: None if value == "" else value)]
"""A file; the empty text means none, as TOML has no null."""


class Section(BaseModel):
    """One table of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)

    @classmethod
    def of(cls, **values: object) -> Self:
        """The model with these values; sections may be given as mappings.

        Raises:
            ConfigError: with every problem, not only the first.
        """
        return validated(cls, values)


class Account(Section):
    """Who we are, and where we log in."""

    jid: str = ""
    """Bare JID of the account, e.g. `ann@example.org`; on QuickBlox `<user id>-<application id>@<chat domain>`."""
    server: str = ""
    """`HOST:PORT` of the chat server; empty: the domain of the JID says it (RFC 6120, section 3.2)."""
    plaintext: Flag = False
    """Log in without TLS; for servers on loopback only, refused otherwise."""
    sasl_plain: Flag = False
    """Show the password to a server that offers no SCRAM, as QuickBlox's; under verified TLS only (RFC 4616)."""
    ca_file: OptionalPath = None
    """PEM file of the authorities that are trusted instead of the system's; empty: the system's."""
    trusted_components: tuple[str, ...] = ()
    """Domains whose messages count as the server's, besides the account's own, e.g. `signals.example.org`."""
    password_file: OptionalPath = None
    """File whose first line is the password; empty: see `QBCALL_PASSWORD`, keyring, prompt."""
    password: SecretStr = Field(default=SecretStr(""), exclude=True)
    """The password itself; set by programs and by `QBCALL_PASSWORD`, refused in files."""

    @field_validator("jid")
    @classmethod
    def _check_jid(cls, value: str) -> str:
        return bare_jid(value) if value else value

    @field_validator("trusted_components")
    @classmethod
    def _check_components(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for domain in value:
            try:
                bare_jid(f"component@{domain}")
            except InvalidArgument:
                raise ValueError(f"must be domains, not {domain!r}") from None
        return value

    @field_validator("server")
    @classmethod
    def _check_server(cls, value: str) -> str:
        found = _SERVER.fullmatch(value)
        if value and not (found and 0 < int(found["port"]) < 65536):
            raise ValueError(f"must be HOST:PORT with a port from 1 to 65535, not {value!r}")
        return value

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of `server`; None: not set."""
        if not self.server:
            return None
        host, _, port = self.server.rpartition(":")
        return host.strip("[]"), int(port)


class _PolicySection(Section):
    """A part of `core.policy.Policy`, which knows the limits."""

    @field_validator("*", mode="before")
    @classmethod
    def _check_with_policy(cls, value: object, info: ValidationInfo) -> object:
        name = str(info.field_name)
        if name == "allow":
            return value
        try:
            Policy(**{name: value})  # type: ignore[arg-type]  # Policy checks the type itself
        except (TypeError, ValueError) as error:
            raise ValueError(str(error).removeprefix(f"{name} ")) from error
        return value


class LinkSection(_PolicySection):
    """What happens when the chat link breaks."""

    reconnect_window: float = _DEFAULTS.reconnect_window
    """Seconds for which a broken chat link is made again before it counts as lost."""
    backoff: float = _DEFAULTS.backoff
    """Seconds before it is first made again; doubles up to 8 times that."""


class CallSection(_PolicySection):
    """Durations and limits of calls. A call keeps those it was created with."""

    answer_timeout: float = _DEFAULTS.answer_timeout
    """Seconds that a callee may take to answer, 10 to 60."""
    dialing_interval: float = _DEFAULTS.dialing_interval
    """Seconds between repeated invitations, at least 3."""
    disconnect_timeout: float = _DEFAULTS.disconnect_timeout
    """Seconds that a lost participant may take to come back, at least 10."""
    stats_interval: float = _DEFAULTS.stats_interval
    """Seconds between statistics; 0: none."""
    connect_timeout: float = _DEFAULTS.connect_timeout
    """Seconds that an accepted call may take to find a path for media."""
    stall_timeout: float = _DEFAULTS.stall_timeout
    """Seconds without a packet after which a participant counts as disconnected; a silent one is asked."""
    restart_interval: float = _DEFAULTS.restart_interval
    """Seconds that a lost connection may come back by itself, and that each attempt to make it anew may take."""
    max_participants: int = _DEFAULTS.max_participants
    """Users in one call, this one included, 2 to 4."""
    max_calls: int = _DEFAULTS.max_calls
    """Calls at once, ringing ones included."""
    accept_calls: bool = _DEFAULTS.accept_calls
    """Whether incoming calls ring at all."""
    reject_when_busy: bool = _DEFAULTS.reject_when_busy
    """Reject incoming calls as busy while another call is live."""
    answer_glare: bool = _DEFAULTS.answer_glare
    """When two users call each other at once, make one call of the two."""
    rejoin: bool = _DEFAULTS.rejoin
    """After a restart of this program, ring again for calls that this user was in and that go on."""
    preconnect: Literal["off", "trusted"] = "off"
    """`trusted`: connect while it rings to callers whom `allow` names or has by `roster`, who see our addresses."""
    allow: tuple[str, ...] = _DEFAULTS.allow
    """Who may ring: `any`, `roster` (the contacts), `jid:PATTERN`, `domain:PATTERN` or a PATTERN; as in a shell."""


class IceServerSection(Section):
    """A STUN or TURN server (W3C WebRTC: RTCIceServer)."""

    urls: tuple[str, ...] = Field(min_length=1)
    """E.g. `stun:HOST:3478` (RFC 7064), `turn:HOST:3478?transport=udp` (RFC 7065)."""
    username: str = ""
    """For TURN."""
    credential: SecretStr = SecretStr("")
    """The password for TURN."""

    @field_validator("urls", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("urls")
    @classmethod
    def _check_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if not _ICE_URL.fullmatch(url):
                raise ValueError(f"must begin with stun:, turn: or turns: and name a host, not {url!r}")
        return value


class IceSection(Section):
    """How participants find a path for media."""

    servers: tuple[IceServerSection, ...] = ()
    """STUN and TURN servers: tables of `urls`, `username`, `credential`."""
    discover: Flag = True
    """While `servers` is empty: use those that the chat server names (XEP-0215)."""
    addresses: tuple[str, ...] = ()
    """Local addresses or interfaces to offer; empty: all but loopback."""
    transport_policy: Literal["all", "relay"] = "all"
    """`relay`: media only through TURN servers (W3C WebRTC: RTCIceTransportPolicy)."""
    mdns: Flag = False
    """Look up the names that browsers may give for local addresses; this network hears whose. Seldom needed."""
    impair: str = ""
    """Make the network of calls bad: `loss=5%,delay=80ms,jitter=20ms,rate=300k,blackout=3s@10s,seed=7`; empty: no."""

    @field_validator("impair")
    @classmethod
    def _check_impair(cls, value: str) -> str:
        """A seed is added where there is none, so that whoever reads the configuration can repeat a run."""
        return with_seed(value, random.randrange(MOST_SEED + 1)) if value else value  # noqa: S311 - no secret


class MediaSection(Section):
    """What is sent, and where received media goes, unless a command says it."""

    source: str = "test"
    """What is sent: `test`, `file:PATH`, `camera[:N]`, `screen`, `mic`, `pcm:PATH`, `silence`, `none`; `+` joins."""
    sinks: tuple[str, ...] = ("null",)
    """Where received media goes: `null`, `record:DIR`, `snapshot:DIR`, `window`, `speaker`, `pcm:PATH`, `verify`."""
    width: Whole = _FORMAT.width
    """Pixels of the picture that is sent, even."""
    height: Whole = _FORMAT.height
    """Pixels of the picture that is sent, even."""
    fps: Whole = _FORMAT.fps
    """Frames per second that are sent."""
    bandwidth: Whole = 0
    """Kilobit per second of picture that each participant sends at most (`b=AS`, RFC 8866); 0: no limit."""

    @field_validator("width", "height", "fps", "bandwidth")
    @classmethod
    def _check_with_media(cls, value: int, info: ValidationInfo) -> int:
        name = str(info.field_name)
        try:
            if name == "bandwidth":
                check_bandwidth(value)
            else:
                VideoFormat(**{name: value})
        except ValueError as error:
            raise ValueError(str(error).removeprefix(f"{name} ")) from error
        return value

    def video_format(self) -> VideoFormat:
        """Size and speed of the picture, as sources take it."""
        return VideoFormat(self.width, self.height, self.fps)


class LogSection(Section):
    """What is logged on standard error."""

    level: Literal["debug", "info", "warning", "error", "nothing"] = "warning"
    """The least important level that is shown; `nothing` shows none."""


class Config(Section):
    """The whole configuration."""

    account: Account = Account()
    link: LinkSection = LinkSection()
    call: CallSection = CallSection()
    ice: IceSection = IceSection()
    media: MediaSection = MediaSection()
    log: LogSection = LogSection()

    @property
    def jid(self) -> User:
        """The account's user.

        Raises:
            ConfigError: the account has no JID.
        """
        if not self.account.jid:
            raise ConfigError([Problem("account.jid", "is not set: use --jid, QBCALL_JID or a file", "the defaults")])
        return User(self.account.jid)

    def policy(self) -> Policy:
        """Durations and limits, as the core takes them."""
        return Policy(**self.call.model_dump(), **self.link.model_dump())

    def xmpp_settings(self) -> XmppSettings:
        """Where and how to log in, as the adapter takes it.

        Raises:
            ConfigError: the account has no JID, or a password that no server can take.
        """
        from qbcall.adapters.xmpp_password import fault_of  # noqa: PLC0415 - loads slixmpp

        account, password = self.account, self.account.password.get_secret_value()
        if fault := fault_of(password):
            raise ConfigError(
                [Problem("account.password", fault, "a file, the environment, the keyring or the terminal")]
            )
        host, port = account.address or (None, None)
        return XmppSettings(
            jid=self.jid,
            password=password,
            host=host,
            port=port,
            plaintext=account.plaintext,
            sasl_plain=account.sasl_plain,
            ca_file=account.ca_file,
            trusted_components=account.trusted_components,
        )

    def ice_settings(self) -> IceSettings:
        """How peers find each other, as the adapter takes it.

        Raises:
            ConfigError: a server cannot be used, or `relay` has no TURN server.
        """
        from qbcall.adapters.rtc_addresses import IceServer, IceSettings  # noqa: PLC0415 - loads aiortc

        ice = self.ice
        try:
            servers = tuple(
                IceServer(
                    urls=server.urls,
                    username=server.username or None,
                    credential=server.credential.get_secret_value() or None,
                )
                for server in ice.servers
            )
            return IceSettings(
                servers=servers,
                discover=ice.discover and not servers,
                addresses=ice.addresses,
                transport_policy=ice.transport_policy,
                mdns=ice.mdns,
                impairment=parse_impairment(ice.impair) if ice.impair else None,
            )
        except InvalidArgument as error:
            raise ConfigError([Problem("ice", str(error), "the configuration")]) from error

    def with_password(self, password: SecretStr) -> Config:
        """The same configuration with the password that was found."""
        return self.model_copy(update={"account": self.account.model_copy(update={"password": password})})
