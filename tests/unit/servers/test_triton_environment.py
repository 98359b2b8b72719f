from pathlib import Path

import pytest

from narrows.contract.errors import ServiceError
from orchestrator.servers.triton_environment import ENVIRONMENT_VARIABLE, TritonEnvironment


def test_an_absent_environment_is_answered_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(ServiceError, match="make setup"):
        TritonEnvironment.find()


def test_a_python_that_does_not_run_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho broken >&2; exit 3\n")
    python.chmod(0o755)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path))
    with pytest.raises(ServiceError, match="broken"):
        TritonEnvironment.find()


def test_an_environment_without_the_wheel_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f"""#!/bin/sh\necho '["{tmp_path}", "3.11", "{tmp_path}"]'\n""")
    python.chmod(0o755)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path))
    with pytest.raises(ServiceError, match="tritonserver is missing"):
        TritonEnvironment.find()
