"""Whose signatures count: each tenant's own section, or the common one."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tame_router.config_registry import RegistrySettings, SigningSettings
from tame_router.errors import ConfigError
from tame_router.registry.signing.signing_policy import SigningPolicies, SigningPolicy, read_policy
from tests.registry.signers import Authority, write_key, write_rsa_key


def test_a_tenant_has_its_own_section_or_the_common_one(tmp_path: Path) -> None:
    """The section of a tenant takes the place of the common one, whole."""
    public = write_key(tmp_path, "acme").with_suffix(".pub")
    certificate = Authority(tmp_path, "authority").certificate
    policies = SigningPolicies(
        RegistrySettings(
            signing=SigningSettings(certificates=(certificate,)),
            signers={"acme": SigningSettings(policy="required", public_keys=(public,))},
        )
    )
    acme = policies.of("acme")
    assert (acme.required, [key.path for key in acme.keys], acme.authorities) == (
        True,
        [public],
        (),
    )
    assert policies.of("other") == SigningPolicy(authorities=(certificate,))


def test_a_key_that_is_replaced_counts_at_once(tmp_path: Path) -> None:
    """Files are read anew, and one that is gone is told."""
    public = write_key(tmp_path, "acme").with_suffix(".pub")
    policies = SigningPolicies(RegistrySettings(signing=SigningSettings(public_keys=(public,))))
    before = policies.of("acme").keys
    write_key(tmp_path, "acme")
    assert policies.of("acme").keys != before
    public.unlink()
    with pytest.raises(ConfigError, match=r"registry.signing.public_keys: .*acme.pub"):
        policies.of("acme")


def test_a_policy_that_nobody_can_meet_stops_the_start() -> None:
    """Signatures that are required of a tenant while nobody's count are a mistake."""
    settings = RegistrySettings(signers={"acme": SigningSettings(policy="required")})
    with pytest.raises(ConfigError, match=r"registry.signers.acme.: signatures are required"):
        SigningPolicies(settings)


def test_what_is_no_key_or_certificate_stops_the_start(tmp_path: Path) -> None:
    """Other keys than those on the three curves, and other files, are named."""
    (tmp_path / "text.pub").write_text("no key")
    write_rsa_key(tmp_path, "rsa")
    write_key(tmp_path, "koblitz", curve=ec.SECP256K1)
    for name in ("text", "rsa", "koblitz", "gone"):
        with pytest.raises(ConfigError, match=f"{name}.pub"):
            read_policy(SigningSettings(public_keys=(tmp_path / f"{name}.pub",)))
    for name in ("text.pub", "gone.pem"):
        with pytest.raises(ConfigError, match=name):
            read_policy(SigningSettings(certificates=(tmp_path / name,)))
