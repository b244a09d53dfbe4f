"""The deployment's own mail server, and which providers there are."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from app.config import Config
from app.mail_servers import MailServer, parse
from app.providers import providers
from app.providers.base import CHANNELS, Account, Callback, DeliveryError, Provider
from tests.actors import keep_secret
from tests.conftest import START, FixedClock, make_config
from tests.providers.messages import ADDRESS, outgoing
from tests.providers.servers import Authority, Post, post

PASSWORD = Post.USERS["harbor"]


def settings(tmp_path: Path, **more: Any) -> Config:
    return make_config("sqlite://", tmp_path, **more)


def deployment(tmp_path: Path, url: str, **more: Any) -> Provider:
    keep_secret(PASSWORD)
    more = {"mail_from": "Gatehouse <mfa@gate.example>", **more}
    return providers(settings(tmp_path, smtp_url=url, **more), FixedClock(START))["deployment"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_its_mail_goes_out_over_tls_without_any_account(
    security: str, authority: Authority, certificate: ssl.SSLContext, tmp_path: Path
) -> None:
    with post(security, certificate) as server:
        scheme = {"starttls": "smtp", "tls": "smtps"}[security]
        url = f"{scheme}://harbor:{PASSWORD.replace(' ', '%20')}@localhost:{server.port}"
        mail = deployment(tmp_path, url, ca_file=authority.file)
        mail.check(Account(), ["email"])
        mail.send(Account(), outgoing("email"), seconds=5)
        mail.send(Account(), outgoing("email", sender="Harbor"), seconds=5)
        first, second = server.mails
        assert first.recipients == second.recipients == [ADDRESS]
        assert first.message["From"] == "Gatehouse <mfa@gate.example>"
        assert second.message["From"] == "Harbor <mfa@gate.example>"
        assert server.encrypted == [True, True]
    assert mail.report(Account(), Callback(url="https://x.example", headers={})) is None


def test_no_account_takes_its_place(
    authority: Authority, certificate: ssl.SSLContext, tmp_path: Path
) -> None:
    with post("starttls", certificate) as server:
        mail = deployment(tmp_path, f"smtp://localhost:{server.port}", ca_file=authority.file)
        other = Account(settings={"host": "192.0.2.1", "from_address": "eve@evil.example"})
        mail.send(other, outgoing("email"), seconds=5)
        assert server.only().sender == "mfa@gate.example"


def test_without_tls_it_is_on_this_machine_alone(tmp_path: Path) -> None:
    with post("none") as server:
        mail = deployment(tmp_path, f"smtp://localhost:{server.port}?tls=none")
        mail.send(Account(), outgoing("email"), seconds=5)
        assert server.only().recipients == [ADDRESS]
    elsewhere = deployment(tmp_path, "smtp://93.184.216.34:2525?tls=none")
    with pytest.raises(DeliveryError) as failed:
        elsewhere.send(Account(), outgoing("email"), seconds=5)
    assert failed.value.code == "address_not_allowed"


def test_it_proves_itself_like_any_other(certificate: ssl.SSLContext, tmp_path: Path) -> None:
    with post("starttls", certificate) as server:
        mail = deployment(tmp_path, f"smtp://localhost:{server.port}")
        with pytest.raises(DeliveryError) as failed:
            mail.send(Account(), outgoing("email"), seconds=5)
        assert failed.value.code == "certificate"
        assert server.tried == []


def test_it_is_there_only_where_the_operator_set_one(tmp_path: Path) -> None:
    known = providers(settings(tmp_path), FixedClock(START))
    assert "deployment" not in known
    with_mail = providers(
        settings(tmp_path, smtp_url="smtp://mail.example", mail_from="mfa@gate.example"),
        FixedClock(START),
    )
    assert set(with_mail) == {*known, "deployment"}


def test_every_provider_says_what_it_is_and_what_it_needs(tmp_path: Path) -> None:
    for kind, provider in providers(settings(tmp_path), FixedClock(START)).items():
        assert provider.kind == kind
        assert provider.name
        assert provider.channels
        assert provider.channels <= set(CHANNELS)
        names = [setting.name for setting in provider.settings]
        assert len(set(names)) == len(names)
        for setting in provider.settings:
            assert setting.label
            assert (setting.kind == "password") <= setting.secret
            assert (setting.kind == "choice") == bool(setting.choices)
            assert setting.channels <= provider.channels


SERVERS = {
    "smtp://mail.example": MailServer(host="mail.example", security="starttls"),
    "smtps://mail.example:465": MailServer(host="mail.example", security="tls", port=465),
    "smtp://[::1]:25?tls=none": MailServer(host="::1", security="none", port=25),
    "smtp://u%40h:p%2F%3A@mail.example/": MailServer(
        host="mail.example", security="starttls", username="u@h", password="p/:"
    ),
}


@pytest.mark.parametrize("url", SERVERS)
def test_a_mail_server_is_read_from_one_line(url: str) -> None:
    assert parse(url) == SERVERS[url]
    assert "p/:" not in repr(parse(url))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://mail.example/path",
        "smtp://mail.example#x",
        "smtp://mail.example?tls=off",
        "smtps://mail.example?tls=none",
        "smtp://mail.example:0",
        "smtp://u:marker/x@mail.example",
        "smtp://u:marker#x@mail.example",
        "smtp://u:marker?x@mail.example",
        "smtp://[marker",
        "smtp://mail.example:marker",
    ],
)
def test_another_line_is_refused_without_telling_what_it_held(url: str) -> None:
    with pytest.raises(ValueError, match="must be an address") as refused:
        parse(url)
    assert "marker" not in str(refused.value)
