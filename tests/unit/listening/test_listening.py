"""The rules of every port: whom it lets in without a token, and who makes room for whom."""

from __future__ import annotations

import re
import resource

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from narrows.contract.errors import ServiceError
from narrows.runtime.listening import Held, brings, check_exposure, limits, parse_address, same, to_give_up

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("listen", ["0.0.0.0:9464", "[::]:9464", "10.0.0.5:9464", "dispatcher:9464"])
@pytest.mark.parametrize("option", ["--http", "--listen"])
def test_beyond_loopback_nothing_is_served_without_a_token(listen: str, option: str) -> None:
    with pytest.raises(ServiceError, match=re.escape(f"{option} {listen} is open to others")):
        check_exposure(listen, None, option, "--token")
    check_exposure(listen, TOKEN, option, "--token")


def test_on_loopback_none_is_needed_and_a_short_one_is_refused_anywhere() -> None:
    for listen in ("127.0.0.1:9464", "[::1]:9464", "localhost:0"):
        check_exposure(listen, None, "--http", "--token")
        with pytest.raises(ServiceError, match="--token has 5 characters and can be guessed"):
            check_exposure(listen, "short", "--http", "--token")


@given(st.text())
@example("[")
def test_no_text_breaks_an_address(text: str) -> None:
    for address in (text, f"127.0.0.1:{text}", f"{text}:80"):
        try:
            host, port = parse_address(address)
        except ServiceError:
            continue
        assert host
        assert 0 <= port < 65536


@given(st.binary())
def test_no_bytes_break_the_comparison_of_tokens(data: bytes) -> None:
    given_text = data.decode(errors="surrogateescape")  # as HTTP servers hand header bytes on
    assert not same(given_text, "another secret")
    assert brings(f"Bearer {given_text}", None)
    assert not brings(f"Bearer {given_text}", TOKEN)
    assert not brings(given_text, TOKEN)


def test_the_token_itself_is_let_in() -> None:
    assert brings(f"Bearer {TOKEN}", TOKEN)
    assert brings(f"bearer  {TOKEN} ", TOKEN)
    assert not brings(TOKEN, TOKEN)
    assert not brings(f"Basic {TOKEN}", TOKEN)


def test_who_holds_most_makes_room_first_and_what_is_being_worked_on_last() -> None:
    few, many = Held("10.0.0.1", working=False), Held("10.0.0.2", working=False)
    busy = Held("10.0.0.2", working=True)
    assert to_give_up([few, many, many]) == 1
    assert to_give_up([few, busy, many, many]) == 2
    assert to_give_up([few, busy, busy]) == 1
    assert to_give_up([few]) == 0


def test_a_port_leaves_most_descriptors_to_its_program() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, before[1]))
        assert limits().connections == 100
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(65536, before[1]), before[1]))
        assert limits().connections == 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
