"""What a child process is told."""

import json
import subprocess
import sys

import pytest

from titan_core.execution.secrets.children import SecretLeak, checked_command, child_environment
from titan_core.execution.secrets.redaction import Redactor

SECRET = "a-very-secret-value"


def test_a_child_sees_how_to_run_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BYBIT_API_SECRET", "AWS_SECRET_ACCESS_KEY", "CREDENTIALS_DIRECTORY", "HTTPS_PROXY", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("TERM", f"xterm-{SECRET}")
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.setenv("EXTRA", "1")
    environment = child_environment(also=["EXTRA"], redactor=Redactor([SECRET]))
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    seen = json.loads(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout)
    assert seen["LC_TIME"] == "C" and seen["EXTRA"] == "1" and "PATH" in seen
    assert not {"BYBIT_API_SECRET", "AWS_SECRET_ACCESS_KEY", "CREDENTIALS_DIRECTORY", "HTTPS_PROXY", "SSH_AUTH_SOCK", "TERM"} & set(seen)
    assert SECRET not in json.dumps(seen)


def test_a_secret_does_not_get_into_arguments() -> None:
    redactor = Redactor([SECRET])
    assert checked_command(["titan", "run"], redactor) == ["titan", "run"]
    with pytest.raises(SecretLeak, match="argument 2 of 'titan' holds a secret") as raised:
        checked_command(["titan", "run", f"--key={SECRET}"], redactor)
    assert SECRET not in str(raised.value)
