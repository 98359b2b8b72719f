"""No secret in any text, whatever characters it has and whoever wrote the text."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_client.transport import link
from narrows.contract.errors import ServiceError
from narrows.runtime.finding import fail
from narrows.runtime.redact import _Known, keep_secret, redact
from narrows.runtime.redis import connect, named_errors
from narrows.runtime.redis.store import Store
from narrows.runtime.redis.url import check_encoding, check_url, with_credentials

ROOT = Path(__file__).parents[3]
_PASSWORDS = st.text(
    st.one_of(st.sampled_from("#/?@:%&=+ \\'\";[]<>äß€𝄞~^|{}"), st.characters(exclude_categories=["C"])),
    min_size=6,
    max_size=24,
).filter(lambda text: text.strip() == text and len(set(text)) > 3)
_CLIENTS = [connect, link.connect, Store.connect]


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    """What a test keeps secret is forgotten behind it."""
    before = _Known.values, _Known.found
    yield
    _Known.values, _Known.found = before


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://admin:hunter2@cam/1",
        "redis://:hunter2@h:1/0",
        "redis://u:a#hunter2@h:1/0 is no address",
        "redis://u:a/hunter2?x@h:1/0",
        "https://cam/s?token=hunter2&x=1",
        "https://cam/s?x=1&api_key=hunter2",
        "https://cam/s?X-Amz-Signature=hunter2",
        "rtsp://10.0.0.9/user=admin_password=hunter2_channel=1_stream=0.sdp",
        "a rtsp://u:hunter2@h b",
        "{'Authorization': 'Bearer hunter2xx'}",
        "Authorization: Basic aHVudGVyMg==hunter2",
    ],
)
def test_secrets_that_were_never_told_are_hidden_by_their_place(text: str) -> None:
    assert "hunter2" not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://cam.local:554/live?channel=1",
        "Redis at redis://127.0.0.1:6379/0 does not answer (Error 111 connecting to 127.0.0.1:6379.)",
        "level=info event=sending key=narrows:{3}:in:cam-1",
        "it asks for Basic authentication",
    ],
)
def test_what_holds_no_secret_is_left_alone(text: str) -> None:
    assert redact(text) == text


def forget() -> None:
    _Known.values, _Known.found = frozenset(), None


@given(_PASSWORDS)
def test_a_secret_that_was_told_is_hidden_in_each_way_of_writing_it(password: str) -> None:
    forget()
    keep_secret(password)
    encoded = quote(password, safe="")
    ways = [password, encoded, quote(password), repr(password), json.dumps({"p": password}), repr([password.encode()])]
    for text in ways:
        said = redact(f"before {text} after")
        assert password not in said
        assert encoded not in said
        assert "before " in said


@given(_PASSWORDS, st.sampled_from(["redis", "rediss"]), st.sampled_from(_CLIENTS))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_an_address_with_an_encoded_password_works_and_one_without_is_an_error_without_it(
    password: str, scheme: str, make: type
) -> None:
    forget()
    good = with_credentials(f"{scheme}://h:6379/0", "u", password)
    client = connect(check_url(good))
    assert client.connection_pool.connection_kwargs["password"] == password
    raw = f"{scheme}://u:{password}@h:6379/0"
    refused = _refusal(make, raw)
    assert password not in refused
    assert not [part for part in re.split(r"[/?#]", password) if len(part) > 5 and part in refused]
    assert password not in redact(f"cannot use {raw}: no such thing as {password!r}")


def _refusal(make: Callable[[str], object], url: str) -> str:
    """The traceback; nothing where the address is taken as it is."""
    try:
        make(url)
    except ServiceError as error:
        return "".join(traceback.format_exception(error))
    return ""


@pytest.mark.parametrize("mark", list("/?#"))
@pytest.mark.parametrize("make", _CLIENTS)
def test_a_password_that_ends_the_authority_early_is_told_how_to_be_written(mark: str, make: type) -> None:
    with pytest.raises(ServiceError, match="percent-encode") as caught:
        make(f"redis://user:12{mark}secret@host:6379/0")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://h:1/0", "no address of Redis"),
        ("h:6379", "no address of Redis"),
        ("redis://", "HOST:PORT"),
        ("redis://u:p%zzpp@h", "percent-encode"),
        ("redis://u:p%ffpp@h", "UTF-8"),
        ("redis://u:p\tppp@h", "percent-encode"),
        ("redis://u:pp℀pp@h", "percent-encode"),
        ("redis://h:99999/0", "port"),
        ("redis://h:x/0", "HOST:PORT"),
        ("redis://h:1/0/5", "number of a database"),
        ("redis://h:1/0#x", "number of a database"),
    ],
)
def test_what_is_no_address_of_redis_is_an_error_that_says_what_one_is(url: str, said: str) -> None:
    with pytest.raises(ServiceError, match=said) as caught:
        check_url(url)
    assert "pp" not in str(caught.value).replace("upper", "")


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://h:6379",
        "rediss://u:p@h:6379/0?ssl_ca_certs=/etc/x@y/ca.pem",
        "rediss://h/0?ssl_ca_certs=/etc/x@y/ca.pem",
        "redis://[::1]:6379/0",
        "redis://u:a:b@c@h:6379/2",
    ],
)
def test_an_address_of_redis_stays_as_it_is(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize("url", ["rtsp://cam/u@h/1", "file:///home/a@b/x.jpg", "https://cam:80/s?mail=a@b"])
def test_an_at_sign_behind_the_host_is_no_password(url: str) -> None:
    assert check_encoding(url, "--source").scheme


@pytest.mark.parametrize("password", ["pa/ss", "pa?ss", "pa#ss", "12#ss", "p%ss"])
def test_a_cameras_address_whose_password_is_not_encoded_is_told_so(password: str) -> None:
    with pytest.raises(ServiceError, match=r"--source .*percent-encode") as caught:
        check_encoding(f"rtsp://admin:{password}@cam/1", "--source")
    assert "ss@" not in str(caught.value)


@pytest.mark.parametrize("behind", ["12/xyz@cam", "12/xyz@cam/1?a=b", "12?xyz@cam", "12/p?xyz@cam", "12#xyz@cam"])
def test_a_password_that_begins_like_a_port_is_told_apart_from_one(behind: str) -> None:
    url = f"rtsp://u:{behind}"
    assert "xyz" not in redact(f"cannot open {url}")
    with pytest.raises(ServiceError, match=r"--source .*percent-encode") as caught:
        check_encoding(url, "--source")
    assert "xyz" not in str(caught.value)
    assert check_encoding("rtsp://u:12%2Fxyz@cam:554/1", "--source").port == 554


def test_what_a_library_says_of_a_password_is_hidden() -> None:
    url = with_credentials("redis://h:1/0", "u", "hunter2/x")
    connect(url)
    with pytest.raises(ServiceError) as caught, named_errors(url):
        raise redis.ConnectionError("AUTH u hunter2/x was refused at hunter2%2Fx")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in fail("redis", "it said hunter2/x", "look").detail


_PROGRAM = """
import logging, sys, warnings
from narrows.runtime.redact import keep_secret, redact_stderr
redact_stderr()
keep_secret("pass/word#1")
print("printed pass/word#1", file=sys.stderr)
logging.getLogger("aiohttp").error("logged %s", "pass%2Fword%231")
warnings.warn("warned pass/word#1")
raise ValueError("raised pass/word#1 in rtsp://u:other/secret@cam/1")
"""


def test_nothing_that_a_program_writes_to_standard_error_has_it() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert [
        word for word in ("printed ***", "logged ***", "warned ***", "raised ***") if word not in ended.stderr
    ] == []
    for secret in ("pass/word#1", "pass%2Fword%231", "other/secret"):
        assert secret not in ended.stderr.replace('warnings.warn("warned pass/word#1")', "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("masks", "tail", "cam-1", "--redis-url", "redis://u:pa#sesame@h:1/0"),
        ("masks", "tail", "cam-1", "redis://u:pa#sesame@h:1/0"),
        ("masks", "tail", "cam-1", f"redis://{'u' * 60}:pa#open-sesame-{'x' * 200}@h:1/0"),
        ("edge", "--source", "rtsp://u:pa?sesame@cam/1", "--stream-id", "a", "--redis-url", "redis://h"),
        ("edge", "--source", "rtsp://u:pa%2Fsesame@cam/1", "--stream-id", "a", "--redis-url", "redis://u:x/sesame@h"),
        (
            "orchestrate",
            "--redis-url",
            "redis://u:℀sesame@h:1/0",
            "--bundle",
            "bundles/demo",
            "--triton",
            "127.0.0.1:1",
        ),
        ("doctor", "--redis-url", "redis://u:12/sesame@127.0.0.1:1/0"),
        ("streams", "list", "--redis-url", "redis://u:pa%23sesame@127.0.0.1:1/0"),
    ],
)
def test_no_command_repeats_a_password(arguments: tuple[str, ...]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "narrows.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode != 0
    assert ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr
    shown = re.sub(r"[\s│]+", "", ended.stderr + ended.stdout)  # a box of the screen's width breaks words
    assert "sesame" not in shown
