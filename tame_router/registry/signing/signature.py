"""Signatures over a revision, OpenSSF's: whose they are, and whether they count.

`model.sig` lies beside the files that it signs, all of them but itself. It is checked against
the manifest, whose digests were computed when the bytes came, and not against the bytes.

Source: https://github.com/sigstore/model-transparency.
"""

from dataclasses import dataclass
from datetime import datetime

from tame_router.registry.finding import Finding
from tame_router.registry.manifest import Manifest
from tame_router.registry.reason import Reason
from tame_router.registry.revision_file import SIGNATURE_PATH
from tame_router.registry.signing.signature_bundle import Bundle, read_bundle
from tame_router.registry.signing.signing_library import verify_with_authorities, verify_with_key
from tame_router.registry.signing.signing_policy import SigningPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a signature.

    Attributes:
        signer: Who signed; empty: no signature was verified.
        findings: What is wrong with it, or missing.
    """

    signer: str = ""
    findings: tuple[Finding, ...] = ()


def check_signature(
    manifest: Manifest, signature: bytes, policy: SigningPolicy, moment: datetime
) -> Verdict:
    """Check a signature over all files of a manifest but `model.sig`.

    It takes half a second the first time, when the library is loaded.

    Args:
        manifest: The files.
        signature: Bytes of `model.sig`; empty: there is none.
        policy: Whose signatures count.
        moment: When a certificate must be valid: when the revision came.
    """
    if not signature:
        return Verdict(findings=(_MISSING,) if policy.required else ())
    try:
        bundle = read_bundle(signature)
        signer = _verified_signer(manifest, signature, bundle, policy, moment)
    except ValueError as error:
        return Verdict(findings=(_invalid(str(error)),))
    return Verdict(signer=signer) if signer else Verdict(findings=(_unknown(bundle, policy),))


def _verified_signer(
    manifest: Manifest, signature: bytes, bundle: Bundle, policy: SigningPolicy, moment: datetime
) -> str:
    """Give who signed; empty: somebody whose signature does not count.

    Raises:
        ValueError: When it does not hold.
    """
    files = [file for file in manifest.files if file.path != SIGNATURE_PATH]
    for key in policy.keys:
        if bundle.key_hint == key.hint:
            verify_with_key(key.path, files, signature)
            return key.name
    if not bundle.certificates or not policy.authorities:
        return ""
    if not verify_with_authorities(policy.authorities, files, signature):
        return ""
    bundle.check_fit(moment)
    return bundle.signer


_MISSING = Finding(
    reason=Reason.SIGNATURE_MISSING,
    message="the upload is not signed, and the policy for your tenant requires it",
    advice=f"sign the folder with `tame adapter sign` and upload {SIGNATURE_PATH} with it",
    path=SIGNATURE_PATH,
)


def _invalid(what: str) -> Finding:
    return Finding(
        reason=Reason.SIGNATURE_INVALID,
        message=f"the signature does not hold: {what}",
        advice="sign exactly the files that are uploaded, after the last change to them",
        path=SIGNATURE_PATH,
    )


def _unknown(bundle: Bundle, policy: SigningPolicy) -> Finding:
    """Say that it is nobody's that counts; fatal unless the operator has named nobody at all."""
    who = f"the key {bundle.key_hint[:16]}" if bundle.key_hint else bundle.signer or "nobody named"
    return Finding(
        reason=Reason.SIGNER_UNKNOWN,
        message=f"it is signed by {who}, whose signatures do not count for your tenant",
        advice="sign with a key or certificate that the operator knows, or make it known",
        path=SIGNATURE_PATH,
        fatal=policy.required or not policy.knows_nobody,
    )
