"""`tame adapter sign | verify`, and a report of the gate on the command line."""

import io
import json
import sys
from pathlib import Path

import pytest

from tame_router.cli.adapter_screen import markdown, show_revision
from tame_router.client.adapter import Finding, Revision, RevisionState
from tame_router.registry.finding import Finding as Found
from tame_router.registry.gate.report import Report
from tame_router.registry.reason import Reason
from tests.adapter_folder import write_adapter
from tests.cli.conftest import Tame
from tests.cli.terminal import Terminal
from tests.registry.signers import Authority, write_key

NAME = "legal--0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of a small adapter."""
    return write_adapter(tmp_path / "adapter", model_bytes=3000)


@pytest.mark.parametrize("password", ["", "secret"])
def test_what_is_uploaded_is_what_is_signed(
    tame: Tame, folder: Path, tmp_path: Path, password: str
) -> None:
    """Files that stay where they are may change; one that is sent may not."""
    pytest.importorskip("OpenSSL", reason="model-signing needs pyOpenSSL, and does not say so")
    key = write_key(tmp_path, "acme", password=password)
    more = []
    if password:
        (tmp_path / "password").write_text(f"{password}\n")
        more = ["--password-file", str(tmp_path / "password")]
    done = tame("adapter", "sign", str(folder), "--key", str(key), *more)
    assert (done.code, done.err) == (0, "")
    sent = "README.md, adapter_config.json, adapter_model.safetensors"
    assert done.out == f"{folder / 'model.sig'} signs {sent}\n"
    verify = ("adapter", "verify", str(folder), "--key", str(key.with_suffix(".pub")))
    done = tame(*verify)
    assert (done.code, done.out.startswith("signed by acme.pub (key ")) == (0, True)
    (folder / "optimizer.pt").write_bytes(b"changed")
    assert tame(*verify).code == 0
    (folder / "README.md").write_text("changed")
    done = tame(*verify, "--json")
    facts = json.loads(done.out)
    assert (done.code, facts["signer"]) == (1, "")
    assert [finding["reason"] for finding in facts["findings"]] == ["SIGNATURE_INVALID"]


def test_a_certificate_counts_through_its_authority(
    tame: Tame, folder: Path, tmp_path: Path
) -> None:
    """And whoever signs with an unknown one is told so."""
    pytest.importorskip("OpenSSL", reason="model-signing needs pyOpenSSL, and does not say so")
    authority, other = Authority(tmp_path, "authority"), Authority(tmp_path, "other")
    issued = authority.issue("acme")
    sign = ("adapter", "sign", str(folder), "--key", str(issued.key))
    done = tame(*sign, "--certificate", str(issued.certificate), "--json")
    assert json.loads(done.out)["signature"] == str(folder / "model.sig")
    verify = ("adapter", "verify", str(folder), "--authority")
    assert tame(*verify, str(authority.certificate)).out == "signed by CN=acme\n"
    done = tame(*verify, str(other.certificate))
    assert (done.code, "SIGNER_UNKNOWN" in done.out or "SIGNATURE_INVALID" in done.out) == (1, True)


def test_nothing_is_verified_against_nobody(tame: Tame, folder: Path, tmp_path: Path) -> None:
    """Whose signatures count must be said; an unsigned folder is none of theirs."""
    done = tame("adapter", "verify", str(folder))
    assert (done.code, "give --key or --authority" in done.err) == (2, True)
    key = write_key(tmp_path, "acme")
    done = tame("adapter", "verify", str(folder), "--key", str(key.with_suffix(".pub")))
    assert (done.code, done.out.startswith("SIGNATURE_MISSING (model.sig): ")) == (1, True)
    pytest.importorskip("OpenSSL", reason="model-signing needs pyOpenSSL, and does not say so")
    done = tame("adapter", "sign", str(folder), "--key", str(tmp_path / "absent"))
    assert (done.code, "INVALID_CONFIGURATION" in done.err) == (3, True)


def revision(report: str) -> Revision:
    """Give a revision with a report."""
    return Revision(
        name=NAME,
        expert="legal",
        digest="0123456789abcdef" * 4,
        state=RevisionState.REJECTED,
        tenant="hospital",
        subject="key-1",
        files=(),
        size_bytes=0,
        findings=(
            Finding(reason="TOO_SLOW", message="slow", advice="prune it", path="", fatal=True),
        ),
        signer="",
        report=report,
        create_time=None,
        update_time=None,
        withdrawn=False,
    )


def gate_report() -> str:
    """Give a report as the gate writes it."""
    found = Found(reason=Reason.TOO_SLOW, message="slow \x1b[31m", advice="prune it")
    return Report(expert="legal", candidate=NAME, live="", passed=False, findings=(found,)).document


def test_the_gates_report_is_a_part_of_the_page() -> None:
    """Below the revision's own heading, without anything that a terminal obeys."""
    written = markdown(revision(gate_report()))
    assert written.startswith(f"# {NAME}\n")
    assert f"\n## {NAME}: refused\n" in written
    assert "\n### Findings\n" in written
    assert "- **TOO_SLOW**: slow \ufffd[31m. prune it" in written
    assert "\x1b" not in written


def test_a_role_that_nobody_asked_for_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    """After an upload of what is live it would read `none`."""
    show_revision(revision(gate_report()))
    assert "role" not in capsys.readouterr().out
    show_revision(revision(gate_report()), "")
    assert "role         none\n" in capsys.readouterr().out


def test_the_gates_report_is_shown_as_it_is_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """And set in type on a terminal."""
    pipe, terminal = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stdout", pipe)
    show_revision(revision(gate_report()))
    assert f"\n# {NAME}: refused\n" in pipe.getvalue()
    monkeypatch.setattr(sys, "stdout", terminal)
    show_revision(revision(gate_report()))
    assert f"# {NAME}" not in terminal.getvalue()
    assert "refused" in terminal.getvalue()
