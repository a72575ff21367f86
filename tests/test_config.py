"""The configuration as models: limits, defaults, what is said about what is wrong."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from qbcall.config import Account, Config
from qbcall.config_layers import leaves
from qbcall.core.impairment_text import parse_impairment
from qbcall.core.policy import RANGES, Policy
from qbcall.errors import ConfigError

EXAMPLE = Path(__file__).parent.parent / "config.example.toml"
SECTION = {name: "link" if name in ("reconnect_window", "backoff") else "call" for name in RANGES}


def problems(**sections: object) -> dict[str, str]:
    """Path -> message of what is wrong with these sections."""
    with pytest.raises(ConfigError) as caught:
        Config.of(**sections)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_nothing_configured_gives_default_policy() -> None:
    """QB-009."""
    policy = Config().policy()
    assert policy == Policy()
    assert (policy.answer_timeout, policy.dialing_interval, policy.disconnect_timeout) == (45, 5, 30)
    assert policy.stats_interval == 0


@pytest.mark.parametrize("name", RANGES)
def test_duration_at_its_limits_is_taken(name: str) -> None:
    for value in RANGES[name]:
        config = Config.of(**{SECTION[name]: {name: value}})
        assert getattr(config.policy(), name) == value


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("end", [0, 1])
def test_duration_beyond_a_limit_names_value_and_limit(name: str, end: int) -> None:
    limit = RANGES[name][end]
    value = limit + (1 if end else -1)
    found = problems(**{SECTION[name]: {name: value}})
    assert list(found) == [f"{SECTION[name]}.{name}"]
    [message] = found.values()
    assert f"{limit:g} s" in message
    assert f"not {value:g}" in message


def test_limits_that_are_no_durations_are_checked_too() -> None:
    assert problems(call={"max_participants": 5, "max_calls": 0}) == {
        "call.max_participants": "must be between 2 and 4, not 5",
        "call.max_calls": "must be between 1 and 1000, not 0",
    }


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("account", "jid", "ann", "user 'ann' is not a JID: it has no '@' (name@domain)"),
        ("account", "jid", "ann@", "user 'ann@' is not a JID: the domain after '@' is empty"),
        ("account", "jid", 7, "must be text, not 7"),
        ("account", "server", "host", "must be HOST:PORT with a port from 1 to 65535, not 'host'"),
        ("account", "server", "host:0", "must be HOST:PORT with a port from 1 to 65535, not 'host:0'"),
        ("account", "server", "host:65536", "must be HOST:PORT with a port from 1 to 65535, not 'host:65536'"),
        ("account", "plaintext", "yes", "must be true or false, not 'yes'"),
        ("account", "trusted_components", ["a.host", "bob@host"], "must be domains, not 'bob@host'"),
        ("account", "ca_file", 1, "must be the path of a file, not 1"),
        ("call", "answer_timeout", "20", "must be a number of seconds, not '20'"),
        ("call", "answer_timeout", float("nan"), "must be a finite number of seconds, not nan"),
        ("call", "accept_calls", 1, "must be true or false, not 1"),
        ("call", "allow", "any", "must be a list, not 'any'"),
        ("ice", "transport_policy", "none", "must be 'all' or 'relay', not 'none'"),
        ("ice", "addresses", "lo", "must be a list, not 'lo'"),
        ("ice", "impair", "loss=7", "loss must be 0% to 100%, or 0 to 1, not '7'"),
        ("ice", "impair", 5, "must be text, not 5"),
        ("media", "width", 33, "must be even, not 33"),
        ("media", "bandwidth", -1, "must be 0 (no limit) to 1000000 kbit/s, not -1"),
        ("media", "fps", 61, "must be a whole number from 1 to 60, not 61"),
        ("media", "fps", 15.5, "must be a whole number, not 15.5"),
        ("log", "level", "loud", "must be 'debug', 'info', 'warning', 'error' or 'nothing', not 'loud'"),
        ("log", "levle", "info", "unknown key; did you mean 'level'?"),
        ("log", "zzz", "info", "unknown key; there are: level"),
    ],
)
def test_wrong_value_is_told_with_its_path(section: str, key: str, value: object, expected: str) -> None:
    assert problems(**{section: {key: value}}) == {f"{section}.{key}": expected}


def test_ice_servers_are_judged_one_by_one() -> None:
    good = {"urls": "turn:relay.example.org:3478?transport=udp", "username": "u", "credential": "hidden"}
    [server] = Config.of(ice={"servers": [good]}).ice.servers
    assert server.urls == ("turn:relay.example.org:3478?transport=udp",)
    found = problems(ice={"servers": [good, {"urls": []}, {"urls": ["http://x"]}, {"url": "stun:x"}]})
    assert set(found) == {
        "ice.servers.1.urls",
        "ice.servers.2.urls",
        "ice.servers.3.url",
        "ice.servers.3.urls",
    }
    assert found["ice.servers.3.url"] == "unknown key; did you mean 'urls'?"
    assert found["ice.servers.3.urls"] == "is missing"


def test_section_that_is_no_table_is_told() -> None:
    assert problems(call=3) == {"call": "must be a table, not 3"}
    assert problems(cal={}) == {"cal": "unknown key; did you mean 'call'?"}


def test_wrong_secret_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        Config.of(account={"password": 1234}, ice={"servers": [{"urls": "stun:x", "credential": 5678}]})
    assert len(caught.value.problems) == 2
    assert "1234" not in str(caught.value)
    assert "5678" not in str(caught.value)


def test_secrets_are_in_no_text_of_the_configuration() -> None:
    config = Config.of(
        account={"jid": "ann@host"}, ice={"servers": [{"urls": "turn:x", "credential": "hunter2"}]}
    ).with_password(SecretStr("hunter2"))
    assert config.account.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(config) + str(config) + config.model_dump_json() + str(config.model_dump())


def test_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().account.jid = "ann@host"


@pytest.mark.parametrize(
    ("server", "address"),
    [("", None), ("localhost:5222", ("localhost", 5222)), ("[::1]:15222", ("::1", 15222))],
)
def test_server_is_split_into_host_and_port(server: str, address: tuple[str, int] | None) -> None:
    assert Account(server=server).address == address


def test_jid_is_lower_case() -> None:
    assert Account(jid="Ann@Example.ORG").jid == "ann@example.org"


def test_example_states_every_key_with_its_default_and_meaning() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    stated = tomllib.loads(text)
    assert Config.of(**stated) == Config()
    keys = {f"{section}.{key}" for section, values in stated.items() for key in values}
    assert keys == set(leaves(Config)) - {"account.password"}
    for path in keys:
        section, _, key = path.partition(".")
        model = type(getattr(Config(), section))
        meaning = " ".join((model.model_fields[key].description or "no description").split())
        assert f"# {meaning}\n{key} = " in text


def test_ice_settings_are_those_of_the_adapter() -> None:
    server = {"urls": ["stun:stun.example.org", "turn:turn.example.org"], "username": "u", "credential": "p"}
    settings = Config.of(
        ice={"servers": [server], "addresses": ["127.0.0.1"], "transport_policy": "relay"}
    ).ice_settings()
    assert settings.servers[0].urls == ("stun:stun.example.org", "turn:turn.example.org")
    assert (settings.servers[0].username, settings.servers[0].credential) == ("u", "p")
    assert (settings.addresses, settings.transport_policy) == (("127.0.0.1",), "relay")


def test_network_is_impaired_as_it_is_written() -> None:
    text = "loss=5%,down.delay=80ms,seed=7"
    config = Config.of(ice={"impair": text})
    assert config.ice.impair == text
    assert config.ice_settings().impairment == parse_impairment(text)
    assert Config().ice_settings().impairment is None


def test_impairment_without_a_seed_gets_one_that_can_be_read() -> None:
    configs = [Config.of(ice={"impair": "loss=5%"}) for _ in range(3)]
    seeds = [re.fullmatch(r"loss=5%,seed=(\d+)", config.ice.impair) for config in configs]
    assert len({seed[1] for seed in seeds if seed}) > 1
    assert all(parse_impairment(config.ice.impair) == config.ice_settings().impairment for config in configs)


def test_no_ice_server_is_the_default() -> None:
    assert Config().ice_settings().servers == ()


def test_relay_without_a_relay_is_refused() -> None:
    with pytest.raises(ConfigError, match="relay needs a TURN server"):
        Config.of(ice={"transport_policy": "relay", "discover": False}).ice_settings()


def test_servers_configured_by_hand_are_not_replaced_by_those_of_the_chat_server() -> None:
    server = {"urls": "turn:turn.example.org"}
    found = [Config.of(ice=ice).ice_settings().discover for ice in ({}, {"servers": [server]}, {"discover": False})]
    assert found == [True, False, False]
    assert Config.of(ice={"transport_policy": "relay"}).ice_settings().discover, "the chat server may name a relay"


def test_xmpp_settings_are_those_of_the_adapter() -> None:
    account = {
        "jid": "ann@host",
        "password": "hunter2",
        "server": "[::1]:5223",
        "plaintext": True,
        "ca_file": "ca.pem",
        "trusted_components": ["Signals.host"],
    }
    settings = Config.of(account=account).xmpp_settings()
    assert (settings.jid, settings.password, settings.plaintext) == ("ann@host", "hunter2", True)
    assert (settings.host, settings.port, settings.ca_file) == ("::1", 5223, Path("ca.pem"))
    assert settings.trusted == {"host", "signals.host"}
    assert Config.of(account={"jid": "ann@host"}).xmpp_settings().host is None


def test_configuration_without_a_jid_cannot_log_in() -> None:
    with pytest.raises(ConfigError, match=r"account\.jid: is not set"):
        Config().xmpp_settings()


def test_password_that_no_server_can_take_is_refused_before_anything_is_sent() -> None:
    config = Config.of(account={"jid": "ann@host"}).with_password(SecretStr("top\nsecret"))
    with pytest.raises(ConfigError, match=r"account\.password: character 4, U\+000A") as caught:
        config.xmpp_settings()
    assert "secret" not in str(caught.value)
