"""A signature counts when it is right, over all files, and made by somebody who counts."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from tame_router.config_registry import SigningSettings
from tame_router.errors import ConfigError
from tame_router.registry.manifest import FileEntry, Manifest, make_manifest
from tame_router.registry.reason import Reason
from tame_router.registry.signing.folder_signing import check_folder, folder_manifest, sign_folder
from tame_router.registry.signing.signature import Verdict, check_signature
from tame_router.registry.signing.signing_policy import SigningPolicy, read_policy
from tests.registry.revision_folder import FILES, write_revision
from tests.registry.signers import NOW, Authority, write_key, write_rsa_key

pytest.importorskip("OpenSSL", reason="model-signing needs pyOpenSSL, and does not say so")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a revision's files."""
    write_revision(tmp_path / "in")
    return tmp_path / "in"


def policy_of(
    *keys: Path, required: bool = True, authorities: tuple[Path, ...] = ()
) -> SigningPolicy:
    """Give the policy that knows the public halves of these keys, and these authorities."""
    return read_policy(
        SigningSettings(
            policy="required" if required else "optional",
            public_keys=tuple(key.with_suffix(".pub") for key in keys),
            certificates=authorities,
        )
    )


def reasons(verdict: Verdict) -> list[tuple[Reason, bool]]:
    """Give what was found, and whether it is fatal."""
    return [(finding.reason, finding.fatal) for finding in verdict.findings]


def manifest_of(folder: Path) -> Manifest:
    """Give the manifest as the router makes it: `model.sig` is one of its files."""
    return folder_manifest(folder, sorted(path.name for path in folder.iterdir()))


@pytest.mark.parametrize("password", ["", "secret"])
def test_a_known_keys_signature_counts(tmp_path: Path, folder: Path, password: str) -> None:
    """Whoever of the known keys signed is named, and the folder is checked as an upload is."""
    other = write_key(tmp_path, "other")
    key = write_key(tmp_path, "acme", password=password)
    signature = sign_folder(folder, key, password=password)
    policy = policy_of(other, key)
    verdict = check_signature(manifest_of(folder), signature.read_bytes(), policy, NOW)
    assert verdict.findings == ()
    assert verdict.signer.startswith("acme.pub (key ")
    assert check_folder(folder, policy, NOW) == verdict


def test_a_known_authoritys_signature_counts(tmp_path: Path, folder: Path) -> None:
    """A certificate that it issued for signing counts, and its subject is named."""
    authority = Authority(tmp_path, "authority")
    issued = authority.issue("acme")
    sign_folder(folder, issued.key, certificate=issued.certificate)
    policy = policy_of(
        authorities=(Authority(tmp_path, "other").certificate, authority.certificate)
    )
    assert check_folder(folder, policy, NOW) == Verdict(signer="CN=acme")


def test_the_standards_own_tool_makes_signatures_that_count(tmp_path: Path, folder: Path) -> None:
    """What `model-signing` itself signed, as its documentation says, counts."""
    import model_signing

    library: Any = model_signing
    key = write_key(tmp_path, "acme")
    ignored = library.hashing.Config().set_ignored_paths(paths=["model.sig"])
    config = library.signing.Config().use_elliptic_key_signer(private_key=key)
    config.set_hashing_config(ignored).sign(folder, folder / "model.sig")
    assert check_folder(folder, policy_of(key), NOW).signer


@pytest.mark.parametrize("change", ["changed", "more", "fewer", "renamed"])
def test_other_files_are_not_signed(tmp_path: Path, folder: Path, change: str) -> None:
    """A signature over other bytes, more files, fewer files or other names does not hold."""
    key = write_key(tmp_path, "acme")
    sign_folder(folder, key)
    if change == "changed":
        (folder / "README.md").write_bytes(b"x")
    elif change == "more":
        (folder / "evaluation.jsonl").write_bytes(b"{}")
    elif change == "fewer":
        (folder / "README.md").unlink()
    else:
        (folder / "README.md").rename(folder / "README.txt")
    verdict = check_folder(folder, policy_of(key), NOW)
    assert reasons(verdict) == [(Reason.SIGNATURE_INVALID, True)]
    assert "README" in verdict.findings[0].message or "evaluation" in verdict.findings[0].message


def test_a_signer_cannot_leave_files_out(tmp_path: Path, folder: Path) -> None:
    """Paths that a signature says are to be ignored are not."""
    key = write_key(tmp_path, "acme")
    sign_folder(folder, key, paths=["adapter_config.json", "README.md"])
    assert reasons(check_folder(folder, policy_of(key), NOW)) == [(Reason.SIGNATURE_INVALID, True)]
    chosen = ["adapter_config.json", "README.md"]
    assert check_folder(folder, policy_of(key), NOW, paths=chosen).signer


@pytest.mark.parametrize(
    ("required", "knows", "expected"),
    [
        (True, False, [(Reason.SIGNATURE_MISSING, True)]),
        (False, True, []),
        (False, False, []),
    ],
)
def test_a_missing_signature_is_told_where_it_is_required(
    tmp_path: Path, folder: Path, required: bool, knows: bool, expected: object
) -> None:
    """Where it is optional nothing is found, and nobody has signed."""
    policy = policy_of(*([write_key(tmp_path, "acme")] if knows else []), required=required)
    verdict = check_folder(folder, policy, NOW)
    assert (reasons(verdict), verdict.signer) == (expected, "")


@pytest.mark.parametrize(
    ("required", "knows", "fatal"),
    [(True, True, True), (True, False, True), (False, True, True), (False, False, False)],
)
def test_an_unknown_signer_is_refused(
    tmp_path: Path, folder: Path, required: bool, knows: bool, fatal: bool
) -> None:
    """Unless signatures are optional and the operator has named nobody whose would count."""
    authority = Authority(tmp_path, "authority")
    issued = authority.issue("stranger")
    others = (Authority(tmp_path, "other").certificate,) if knows else ()
    known = [write_key(tmp_path, "acme")] if knows else []
    policy = policy_of(*known, required=required, authorities=others)
    for certificate in (None, issued.certificate):
        sign_folder(folder, issued.key, certificate=certificate)
        verdict = check_folder(folder, policy, NOW)
        assert (reasons(verdict), verdict.signer) == ([(Reason.SIGNER_UNKNOWN, fatal)], "")


@pytest.mark.parametrize(
    ("issued", "moment"),
    [
        ({"usage": ExtendedKeyUsageOID.SERVER_AUTH}, NOW),
        ({"until": NOW - timedelta(hours=1)}, NOW),
        ({}, NOW + timedelta(days=400)),
        ({"since": NOW + timedelta(hours=1)}, NOW),
    ],
    ids=["a server's", "over", "over by then", "not yet"],
)
def test_a_certificate_must_be_fit(
    tmp_path: Path, folder: Path, issued: dict[str, Any], moment: datetime
) -> None:
    """One that is for servers, or was not valid when the revision came, does not count."""
    authority = Authority(tmp_path, "authority")
    signer = authority.issue("acme", **issued)
    sign_folder(folder, signer.key, certificate=signer.certificate)
    policy = policy_of(authorities=(authority.certificate,))
    assert reasons(check_folder(folder, policy, moment)) == [(Reason.SIGNATURE_INVALID, True)]


def test_a_certificate_that_is_over_by_now_counted_when_the_revision_came(
    tmp_path: Path, folder: Path
) -> None:
    """Checking again later, as of that time, finds the same."""
    authority = Authority(tmp_path, "authority")
    signer = authority.issue("acme", until=NOW - timedelta(hours=1))
    sign_folder(folder, signer.key, certificate=signer.certificate)
    policy = policy_of(authorities=(authority.certificate,))
    assert check_folder(folder, policy, NOW - timedelta(hours=2)).signer == "CN=acme"


def _payload(document: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> None:
    payload = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    change(payload)
    document["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()


@pytest.mark.parametrize(
    "harm",
    [
        lambda d: _payload(d, lambda p: p["predicate"]["resources"].pop()),
        lambda d: _payload(d, lambda p: p["predicate"]["serialization"].update(method="shards")),
        lambda d: d["dsseEnvelope"]["signatures"].clear(),
        lambda d: d["dsseEnvelope"]["signatures"][0].update(sig="AAAA"),
        lambda d: d["dsseEnvelope"].update(payload="!"),
        lambda d: d["dsseEnvelope"].update(payloadType="text/plain"),
        lambda d: d.update(mediaType="text/plain"),
        lambda d: d.pop("verificationMaterial"),
        lambda d: d.update(verificationMaterial=[]),
    ],
)
def test_a_damaged_signature_does_not_hold(
    tmp_path: Path, folder: Path, harm: Callable[[dict[str, Any]], object]
) -> None:
    """Whatever is wrong with it, it is a finding and no error."""
    key = write_key(tmp_path, "acme")
    document = json.loads(sign_folder(folder, key).read_bytes())
    harm(document)
    (folder / "model.sig").write_text(json.dumps(document))
    assert reasons(check_folder(folder, policy_of(key), NOW)) == [(Reason.SIGNATURE_INVALID, True)]


def test_a_signature_without_a_hint_is_nobodys(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that does not say its key is not tried with each, and nothing is printed."""
    key = write_key(tmp_path, "acme")
    document = json.loads(sign_folder(folder, key).read_bytes())
    document["verificationMaterial"]["publicKey"]["hint"] = ""
    (folder / "model.sig").write_text(json.dumps(document))
    assert reasons(check_folder(folder, policy_of(key), NOW)) == [(Reason.SIGNER_UNKNOWN, True)]
    assert capsys.readouterr().out == ""


@given(signature=st.binary(min_size=1) | st.recursive(st.none(), st.lists).map(str).map(str.encode))
def test_no_bytes_are_an_error(signature: bytes) -> None:
    """Any bytes in the place of a signature are found wrong."""
    manifest = make_manifest([FileEntry(path="x", size_bytes=0, sha256="0" * 64)])
    verdict = check_signature(manifest, signature, SigningPolicy(required=True), NOW)
    assert reasons(verdict) == [(Reason.SIGNATURE_INVALID, True)]


@settings(max_examples=50)
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_no_changed_byte_lets_other_files_through(
    tmp_path_factory: pytest.TempPathFactory, place: float, byte: int
) -> None:
    """With any one byte of it changed a signature never covers files that it did not."""
    base = tmp_path_factory.mktemp("signed")
    write_revision(base / "in")
    key = write_key(base, "acme")
    data = bytearray(sign_folder(base / "in", key).read_bytes())
    data[int(place * len(data))] = byte
    other = folder_manifest(base / "in", ["README.md"])
    assert not check_signature(other, bytes(data), policy_of(key), NOW).signer


def test_a_huge_signature_is_not_read(tmp_path: Path) -> None:
    """Beyond its limit it is refused unread, and deep nesting is no crash."""
    manifest = make_manifest([])
    for data in (b" " * (2**20 + 1), b"[" * 100_000):
        verdict = check_signature(manifest, data, SigningPolicy(), NOW)
        assert reasons(verdict) == [(Reason.SIGNATURE_INVALID, True)]


def test_what_cannot_be_signed_is_told(tmp_path: Path, folder: Path) -> None:
    """A wrong password, key, certificate or file is an error that names it, and no file is left."""
    key = write_key(tmp_path, "acme", password="secret")  # noqa: S106 - a test's
    other = Authority(tmp_path, "authority").issue("other")
    (folder / "link").symlink_to(tmp_path / "acme.pub")
    paths = list(FILES)
    attempts: list[tuple[Path, dict[str, Any]]] = [
        (key, {"paths": paths}),
        (key, {"paths": paths, "password": "wrong"}),
        (write_rsa_key(tmp_path, "rsa"), {"paths": paths}),
        (tmp_path / "none", {"paths": paths}),
        (write_key(tmp_path, "plain"), {"paths": paths, "certificate": other.certificate}),
        (write_key(tmp_path, "linked"), {}),
    ]
    for private, told in attempts:
        with pytest.raises(ConfigError, match="cannot be signed with"):
            sign_folder(folder, private, **told)
    with pytest.raises(ConfigError, match="cannot be checked"):
        check_folder(folder, SigningPolicy(), NOW, paths=["none"])
    assert not (folder / "model.sig").exists()
    assert replace(SigningPolicy(), required=True).knows_nobody
