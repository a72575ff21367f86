"""Where the configuration comes from, and which layer wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from qbcall.config_layers import DEFAULT, Loaded, load
from qbcall.errors import ConfigError


class Place:
    """A home and a working directory of their own."""

    def __init__(self, root: Path) -> None:
        self.cwd = root / "work"
        self.user_file = root / "xdg" / "qbcall" / "config.toml"
        self.named_file = root / "named.toml"
        self.cwd.mkdir()
        self.user_file.parent.mkdir(parents=True)

    def load(
        self,
        *,
        flags: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
        account: str | None = None,
    ) -> Loaded:
        """Read what this place has."""
        named = self.named_file if self.named_file.exists() else None
        return load(flags=flags, environ=environ or {}, config_file=named, account=account, cwd=self.cwd)

    def problems(
        self,
        *,
        flags: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
        account: str | None = None,
    ) -> list[tuple[str, str, str]]:
        """What is wrong here: path, message, origin."""
        with pytest.raises(ConfigError) as caught:
            self.load(flags=flags, environ=environ, account=account)
        return [(found.path, found.message, found.origin) for found in caught.value.problems]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    return Place(tmp_path)


def test_each_layer_wins_over_the_ones_below(place: Place) -> None:
    path = "call.answer_timeout"
    environ: dict[str, str] = {}
    flags: dict[str, object] = {}
    seen = []
    steps: list[Callable[[], object]] = [
        lambda: None,
        lambda: place.user_file.write_text("[call]\nanswer_timeout = 11"),
        lambda: (place.cwd / "qbcall.toml").write_text("[call]\nanswer_timeout = 12"),
        lambda: place.named_file.write_text("[call]\nanswer_timeout = 13"),
        lambda: environ.update(QBCALL_CALL__ANSWER_TIMEOUT="14"),
        lambda: flags.update({path: 15.0}),
    ]
    for step in steps:
        step()
        loaded = place.load(flags=flags, environ=environ)
        seen.append((loaded.config.call.answer_timeout, loaded.origins[path]))
    assert seen == [
        (45, DEFAULT),
        (11, str(place.user_file)),
        (12, str(place.cwd / "qbcall.toml")),
        (13, str(place.named_file)),
        (14, "environment QBCALL_CALL__ANSWER_TIMEOUT"),
        (15, "the command line"),
    ]


def test_layers_add_up_key_by_key(place: Place) -> None:
    place.user_file.write_text("[call]\nanswer_timeout = 11\n[log]\nlevel = 'info'")
    place.named_file.write_text("[call]\ndialing_interval = 4\n[link]")
    config = place.load(flags={"media.source": "none"}).config
    assert (config.call.answer_timeout, config.call.dialing_interval) == (11, 4)
    assert (config.log.level, config.media.source) == ("info", "none")


def test_short_variables_of_the_environment_are_known(place: Place) -> None:
    loaded = place.load(
        environ={
            "QBCALL_JID": "ann@host",
            "QBCALL_SERVER": "localhost:5222",
            "QBCALL_PASSWORD": "secret",
            "PATH": "/",
        }
    )
    account = loaded.config.account
    assert (account.jid, account.server, account.password.get_secret_value()) == (
        "ann@host",
        "localhost:5222",
        "secret",
    )
    assert loaded.origins["account.jid"] == "environment QBCALL_JID"


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("QBCALL_ACCOUNT__PLAINTEXT", "true", True),
        ("QBCALL_CALL__MAX_CALLS", "3", 3),
        ("QBCALL_CALL__STALL_TIMEOUT", "1.5", 1.5),
        ("QBCALL_MEDIA__SINKS", "record:/x,y", ("record:/x,y",)),
        ("QBCALL_ICE__ADDRESSES", "", ()),
        ("QBCALL_MEDIA__SINKS", '["null", "record:/x,y"]', ("null", "record:/x,y")),
        ("QBCALL_MEDIA__SOURCE", "123", "123"),
        ("QBCALL_ACCOUNT__CA_FILE", "/a.pem", Path("/a.pem")),
        ("QBCALL_ACCOUNT__CA_FILE", "", None),
    ],
)
def test_text_of_the_environment_gets_the_type_of_the_key(
    place: Place, variable: str, text: str, expected: object
) -> None:
    section, _, key = variable.removeprefix("QBCALL_").lower().partition("__")
    config = place.load(environ={variable: text}).config
    assert getattr(getattr(config, section), key) == expected


def test_tables_of_the_environment_are_toml(place: Place) -> None:
    config = place.load(environ={"QBCALL_ICE__SERVERS": '[{urls = "stun:localhost:3478"}]'}).config
    assert config.ice.servers[0].urls == ("stun:localhost:3478",)


def test_all_problems_of_all_layers_are_told_at_once(place: Place) -> None:
    place.user_file.write_text("[call]\nanswer_timeot = 20\nmax_calls = 'many'")
    (place.cwd / "qbcall.toml").write_text("[call")
    place.named_file.write_text("[link]\nbackoff = 100")
    found = place.problems(
        environ={"QBCALL_CALL__ANSWER_TIMEOUT": "soon", "QBCALL_SEVER": "x"}, flags={"log.level": "loud"}
    )
    user, here, named = str(place.user_file), str(place.cwd / "qbcall.toml"), str(place.named_file)
    variable = "environment QBCALL_CALL__ANSWER_TIMEOUT"
    assert sorted(found) == sorted(
        [
            ("call.answer_timeot", "unknown key; did you mean 'answer_timeout'?", user),
            ("call.max_calls", "must be a whole number, not 'many'", user),
            ("call.answer_timeout", "must be a number of seconds, not 'soon'", variable),
            ("link.backoff", "must be at most 60 s, not 100", named),
            ("QBCALL_SEVER", "unknown variable; did you mean 'QBCALL_SERVER'?", "the environment"),
            ("log.level", "must be 'debug', 'info', 'warning', 'error' or 'nothing', not 'loud'", "the command line"),
            next(problem for problem in found if problem[2] == here),
        ]
    )


def test_syntax_error_names_file_and_line(place: Place) -> None:
    place.named_file.write_text("[call]\nanswer_timeout = = 3")
    [(_, message, origin)] = place.problems()
    assert "line 2" in message
    assert origin == str(place.named_file)


def test_named_file_that_is_missing_is_an_error(place: Place) -> None:
    with pytest.raises(ConfigError, match=r"No such file.*gone\.toml"):
        load(environ={}, config_file=place.cwd / "gone.toml", cwd=place.cwd)


def test_file_that_is_no_text_is_an_error(place: Place) -> None:
    place.named_file.write_bytes(b"\xff\xfe")
    [(_, message, _)] = place.problems()
    assert message.startswith("is not TOML")


def test_unknown_table_is_told_with_its_file(place: Place) -> None:
    place.named_file.write_text("[cal]\nx = 1\n[zzz]")
    assert place.problems() == [
        ("cal", "unknown key; did you mean 'call'?", str(place.named_file)),
        ("zzz", "unknown key; there are: account, call, ice, link, log, media", str(place.named_file)),
    ]


def test_scalar_in_place_of_a_table_is_told(place: Place) -> None:
    place.user_file.write_text("[call]\nanswer_timeout = 20")
    place.named_file.write_text("call = 3")
    assert place.problems(environ={"QBCALL_CALL__MAX_CALLS": "2"}) == [
        ("call", "must be a table, not 3", str(place.named_file))
    ]


ACCOUNTS = """
[account]
jid = "default@host"
server = "localhost:5222"
[account.work]
jid = "work@host"
"""


def test_named_account_is_laid_over_the_plain_keys(place: Place) -> None:
    place.named_file.write_text(ACCOUNTS)
    assert place.load().config.account.jid == "default@host"
    account = place.load(account="work").config.account
    assert (account.jid, account.server) == ("work@host", "localhost:5222")


def test_named_account_wins_over_plain_keys_of_any_file(place: Place) -> None:
    place.user_file.write_text(ACCOUNTS)
    place.named_file.write_text("[account]\njid = 'plain@host'")
    assert place.load(account="work").config.account.jid == "work@host"
    assert place.load(account="work", flags={"account.jid": "flag@host"}).config.account.jid == "flag@host"


def test_unknown_account_is_told_with_a_suggestion(place: Place) -> None:
    [(path, message, _)] = place.problems(account="home")
    assert (path, message) == ("account.home", "no such account; no file has a table [account.NAME]")
    place.named_file.write_text(ACCOUNTS)
    [(_, message, _)] = place.problems(account="wrok")
    assert message == "no such account; did you mean 'work'?"


def test_account_that_is_not_used_is_checked_too(place: Place) -> None:
    place.named_file.write_text(ACCOUNTS + "sever = 'x:1'")
    assert place.problems() == [("account.work.sever", "unknown key; did you mean 'server'?", str(place.named_file))]
    [(path, _, _)] = place.problems(account="work")
    assert path == "account.sever"


@pytest.mark.parametrize("table", ["account", "account.work"])
def test_password_in_a_file_is_refused_and_not_shown(place: Place, table: str) -> None:
    place.named_file.write_text(f"[{table}]\npassword = 'hunter2'")
    [(path, message, _)] = place.problems()
    assert path == f"{table}.password"
    assert "password_file" in message
    assert "hunter2" not in message


def test_paths_of_an_account_are_relative_to_their_file(place: Place) -> None:
    place.user_file.write_text("[account]\nca_file = 'ca.pem'\n[account.work]\npassword_file = 'secret'")
    account = place.load(account="work").config.account
    assert account.ca_file == place.user_file.parent / "ca.pem"
    assert account.password_file == place.user_file.parent / "secret"
