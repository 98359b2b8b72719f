"""A port that was handed out is nobody else's until its server starts."""

import socket
import subprocess
import sys

import pytest

from orchestrator.servers.ports import LOOPBACK, free_ports

MANY = 600  # of the 28,000 ports of Linux; drawn at random, two of them are the same in all but one of 500 runs
_DRAW = f"""
import socket
for _ in range({MANY}):
    with socket.socket() as drawn:
        drawn.bind(("{LOOPBACK}", 0))
        print(drawn.getsockname()[1])
"""


def test_no_port_is_handed_out_twice() -> None:
    ports = [*free_ports(MANY // 2), *(free_ports(1)[0] for _ in range(MANY // 2))]
    assert len(set(ports)) == MANY


def test_another_process_is_given_none_of_them() -> None:
    ports = free_ports(MANY)
    drawn = subprocess.run([sys.executable, "-c", _DRAW], capture_output=True, text=True, check=True).stdout.split()
    assert len(drawn) == MANY
    assert set(ports).isdisjoint(map(int, drawn))


def test_a_server_that_reuses_addresses_can_have_it_and_nobody_answers_before() -> None:
    (port,) = free_ports(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port))
    with socket.create_server((LOOPBACK, port)) as server:
        assert server.getsockname()[1] == port
