"""Options that hold secrets may stand in files; an address finds what lies beside its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from narrows.cli.secret_options import resolved
from narrows.contract.errors import SecretError


def written(folder: Path, text: str) -> str:
    path = folder / "redis.url"
    path.write_text(text)
    path.chmod(0o600)
    return f"file:{path}"


def test_a_value_may_stand_in_a_file_and_other_options_are_left_alone(tmp_path: Path) -> None:
    file = written(tmp_path, "s3cret\n")
    assert resolved({"token": file, "bundle": file}) == {"token": "s3cret", "bundle": file}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("rediss://u:p%2Fw@h:6379/0?ssl_ca_certs=ca.pem", "rediss://u:p%2Fw@h:6379/0?ssl_ca_certs={folder}/ca.pem"),
        ("rediss://h/0?ssl_ca_certs=/etc/ca.pem&protocol=2", "rediss://h/0?ssl_ca_certs=/etc/ca.pem&protocol=2"),
    ],
)
def test_an_addresss_authority_lies_beside_the_addresss_file(tmp_path: Path, text: str, address: str) -> None:
    assert resolved({"redis_url": written(tmp_path, text)}) == {"redis_url": address.format(folder=tmp_path)}


def test_an_address_on_the_command_line_begins_where_the_command_is_started() -> None:
    given = {"redis_url": "rediss://h:6379/0?ssl_ca_certs=ca.pem"}
    assert resolved(given) == given


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=r"redis\.url is empty"):
        resolved({"redis_url": written(tmp_path, "\n")})
