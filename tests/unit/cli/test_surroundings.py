"""Names, homes and scratch folders, where there are none."""

from __future__ import annotations

import getpass
import os
import socket
import tempfile
from pathlib import Path

import pytest

from narrows.contract.errors import ServiceError, StateError
from narrows.runtime.surroundings import caller, expanded, host_name, scratch_folder, state_home


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 12345"), OSError("no username set")])
def test_a_user_without_a_name_goes_by_the_number(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", none)
    assert caller().partition("@")[0] == f"uid-{os.getuid()}"


def test_odd_bytes_in_names_are_shown_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "an na\udcffä\n")
    monkeypatch.setattr(socket, "gethostname", lambda: "h\udcfft")
    assert caller() == "an?na????@h?t".replace("????", "???")
    monkeypatch.setattr(socket, "gethostname", lambda: "")
    assert host_name() == "host"


def test_state_goes_below_home_unless_an_absolute_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/an")
    for ignored in ("", "relative/state"):
        monkeypatch.setenv("XDG_STATE_HOME", ignored)
        assert state_home() == Path("/home/an/.local/state")
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert state_home() == Path("/var/state")


def test_without_a_home_the_option_to_give_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: str) -> str:
        return "~"

    monkeypatch.setattr(os.path, "expanduser", none)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    with pytest.raises(StateError, match="--state-dir"):
        state_home()
    assert expanded("~/clips") == Path("~/clips")


def test_without_a_place_for_temporary_files_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(ServiceError, match="TMPDIR"), scratch_folder():
        pass
    monkeypatch.undo()
    with scratch_folder() as folder:
        assert folder.is_dir()
    assert not folder.exists()


def test_who_is_named_is_taken_as_any_record_can_hold_it() -> None:
    assert caller("Ada Löwe") == "Ada Löwe"
    assert caller("ada\udcff") == "ada?"  # bytes that are no UTF-8, as a command line has them
    assert caller("a" * 100_000) == "a" * 128
    assert caller("") == caller(None) == caller()
