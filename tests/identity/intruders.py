"""Ways of trying to get in with headers, and what the operator's log says of each."""

from collections.abc import Callable
from dataclasses import dataclass, field

import jwt
import pytest

from tame_router.identity.refusal import Reason
from tests.identity.world import LEEWAY_S, LONE_ISSUER, World, at_seconds, part, payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came with a call."""

    authorization: tuple[str, ...] = field(default=())
    api_key: tuple[str, ...] = field(default=())


Way = Callable[[World], Sent]


def bearer(*values: str) -> Sent:
    """Send `authorization: Bearer …`."""
    return Sent(authorization=tuple(f"Bearer {value}" for value in values))


def plain(*values: str) -> Sent:
    """Send `authorization`, as it is."""
    return Sent(authorization=values)


def key(*values: str) -> Sent:
    """Send `x-api-key`."""
    return Sent(api_key=values)


def swapped(text: str, place: int) -> str:
    """Change one letter."""
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


def repacked(token: str, **claims: object) -> str:
    """Change what a token says, and keep its signature."""
    head, _, signature = token.split(".")
    return f"{head}.{part(payload(**claims))}.{signature}"


def unsigned(world: World, algorithm: str, signature: str = "") -> Sent:
    """Send a token that nobody signed."""
    return bearer(f"{part({'alg': algorithm, 'kid': 'r1'})}.{part(payload())}.{signature}")


def embedded(world: World) -> Sent:
    """Send a token that brings the key it is to be verified with."""
    signers = world.signers
    headers = {"kid": "r1", "jwk": {"kty": "oct", "k": "AA"}, "jku": "https://evil.example/jwks"}
    return bearer(jwt.encode(payload(), signers.gone, algorithm="RS256", headers=headers))


def way(doc: str, reason: Reason, sent: Way) -> object:
    """Name a way of trying."""
    return pytest.param(sent, reason, id=doc)


KEYS = [
    way("nothing at all", Reason.NOTHING, lambda w: Sent()),
    way("a key nobody made", Reason.KEY_WRONG, lambda w: bearer(w.unknown.key)),
    way(
        "a known id with another key's secret",
        Reason.KEY_MALFORMED,
        lambda w: bearer(w.good.key[:18] + w.other.key[18:]),
    ),
    way("a key with a wrong checksum", Reason.KEY_MALFORMED, lambda w: key(w.good.key[:-1] + "_")),
    way("an expired key", Reason.KEY_ENDED, lambda w: bearer(w.expired.key)),
    way("a revoked key", Reason.KEY_ENDED, lambda w: key(w.revoked.key)),
    way("a key without its last letter", Reason.KEY_MALFORMED, lambda w: bearer(w.good.key[:-1])),
    way("a key's public part only", Reason.KEY_MALFORMED, lambda w: bearer(w.good.key[:17])),
    way("a key with a letter more", Reason.KEY_MALFORMED, lambda w: bearer(w.good.key + "a")),
    way("a key with padding", Reason.KEY_MALFORMED, lambda w: bearer(w.good.key + "==")),
    way("a key in capitals", Reason.TOKEN_MALFORMED, lambda w: bearer(w.good.key.upper())),
    way(
        "a key with its case changed",
        Reason.KEY_MALFORMED,
        lambda w: bearer("tame_" + w.good.key[5:].swapcase()),
    ),
    way("a mistyped key", Reason.KEY_MALFORMED, lambda w: bearer(swapped(w.good.key, 30))),
    way("a key without Bearer", Reason.MALFORMED, lambda w: plain(w.good.key)),
    way("Bearer and nothing", Reason.MALFORMED, lambda w: plain("Bearer ")),
    way("Bearer without a space", Reason.MALFORMED, lambda w: plain("Bearer")),
    way("an empty header", Reason.MALFORMED, lambda w: plain("")),
    way("an empty x-api-key", Reason.MALFORMED, lambda w: key("")),
    way("Bearer in x-api-key", Reason.MALFORMED, lambda w: key(f"Bearer {w.good.key}")),
    way("a token in x-api-key", Reason.MALFORMED, lambda w: key(w.signers.token())),
    way("Basic", Reason.MALFORMED, lambda w: plain("Basic dGFtZTp0YW1l")),
    way("another scheme with a key", Reason.MALFORMED, lambda w: plain(f"Token {w.good.key}")),
    way(
        "two keys in one header",
        Reason.MALFORMED,
        lambda w: bearer(f"{w.good.key}, Bearer {w.other.key}"),
    ),
    way("two keys with a comma", Reason.MALFORMED, lambda w: bearer(f"{w.good.key},{w.good.key}")),
    way("two headers, the first good", Reason.SEVERAL, lambda w: bearer(w.good.key, w.unknown.key)),
    way("two headers, the last good", Reason.SEVERAL, lambda w: bearer(w.unknown.key, w.good.key)),
    way("the same header twice", Reason.SEVERAL, lambda w: bearer(w.good.key, w.good.key)),
    way("x-api-key twice", Reason.SEVERAL, lambda w: key(w.good.key, w.good.key)),
    way(
        "two keys in two headers",
        Reason.SEVERAL,
        lambda w: Sent(authorization=(f"Bearer {w.good.key}",), api_key=(w.other.key,)),
    ),
    way(
        "a key beside a token",
        Reason.SEVERAL,
        lambda w: Sent(authorization=(f"Bearer {w.signers.token()}",), api_key=(w.good.key,)),
    ),
    way(
        "a key with two spaces before it",
        Reason.MALFORMED,
        lambda w: plain(f"Bearer  {w.good.key}"),
    ),
    way(
        "a key with a space in it",
        Reason.MALFORMED,
        lambda w: bearer(f"{w.good.key[:20]} {w.good.key[20:]}"),
    ),
    way("a header of 9 KiB", Reason.MALFORMED, lambda w: bearer("a" * 9 * 2**10)),
    way("a key of a suspended tenant", Reason.TENANT_CLOSED, lambda w: bearer(w.suspended.key)),
    way("a key of a tenant that is gone", Reason.TENANT_CLOSED, lambda w: bearer(w.orphan.key)),
]

UNWIRED = [
    way("a key with a tab before it", Reason.MALFORMED, lambda w: plain(f"Bearer\t{w.good.key}")),
    way(
        "an oversized token", Reason.MALFORMED, lambda w: bearer(w.signers.token(notes="x" * 9000))
    ),
    way("a key with a line end", Reason.MALFORMED, lambda w: bearer(w.good.key + "\n")),
    way(
        "a key with a header behind it",
        Reason.MALFORMED,
        lambda w: bearer(w.good.key + "\r\nx-tenant: factory"),
    ),
    way("a key with a NUL", Reason.MALFORMED, lambda w: bearer(w.good.key + "\x00")),
    way(
        "a key with another alphabet's letter",
        Reason.MALFORMED,
        lambda w: bearer(w.good.key.replace("a", "\u0430", 1)),
    ),
    way("full-width letters", Reason.MALFORMED, lambda w: bearer("\uff54ame_" + w.good.key[5:])),
    way("a header of 1 MiB", Reason.MALFORMED, lambda w: bearer("a" * 2**20)),
]
"""What a gRPC client refuses to send; another program may not."""

TOKENS = [
    way(
        "a key id that is a number",
        Reason.TOKEN_MALFORMED,
        lambda w: bearer(f"{part({'alg': 'RS256', 'kid': 7})}.{part(payload())}.AAAA"),
    ),
    way(
        "a list of algorithms",
        Reason.TOKEN_ALGORITHM,
        lambda w: bearer(f"{part({'alg': ['RS256'], 'kid': 'r1'})}.{part(payload())}.AAAA"),
    ),
    way("alg none", Reason.TOKEN_ALGORITHM, lambda w: unsigned(w, "none")),
    way("alg None with a signature", Reason.TOKEN_ALGORITHM, lambda w: unsigned(w, "None", "AAAA")),
    way("RS256 without a signature", Reason.TOKEN_SIGNATURE, lambda w: unsigned(w, "RS256")),
    way(
        "HS256 with the public key",
        Reason.TOKEN_ALGORITHM,
        lambda w: bearer(w.signers.hmac_token()),
    ),
    way(
        "an algorithm not on the list",
        Reason.TOKEN_ALGORITHM,
        lambda w: bearer(jwt.encode(payload(), w.signers.rsa, "PS256", {"kid": "r1"})),
    ),
    way(
        "the right key's id, another algorithm",
        Reason.TOKEN_KEY,
        lambda w: bearer(jwt.encode(payload(), w.signers.ec, "ES256", {"kid": "r1"})),
    ),
    way(
        "another issuer",
        Reason.TOKEN_ISSUER,
        lambda w: bearer(w.signers.token(iss="https://evil.example")),
    ),
    way(
        "an issuer with a slash more",
        Reason.TOKEN_ISSUER,
        lambda w: bearer(w.signers.token(iss="https://login.example/")),
    ),
    way("no issuer", Reason.TOKEN_ISSUER, lambda w: bearer(w.signers.token(iss=None))),
    way(
        "issuer that is a list",
        Reason.TOKEN_ISSUER,
        lambda w: bearer(f"{part({'alg': 'RS256'})}.{part({'iss': ['https://login.example']})}.AA"),
    ),
    way(
        "one issuer's token signed for the other",
        Reason.TOKEN_KEY,
        lambda w: bearer(w.signers.token(iss=LONE_ISSUER)),
    ),
    way("another audience", Reason.TOKEN_CLAIM, lambda w: bearer(w.signers.token(aud="mail"))),
    way(
        "a list of other audiences",
        Reason.TOKEN_CLAIM,
        lambda w: bearer(w.signers.token(aud=["mail", "tame-router-test"])),
    ),
    way("no audience", Reason.TOKEN_CLAIM, lambda w: bearer(w.signers.token(aud=None))),
    way(
        "an expired token",
        Reason.TOKEN_TIME,
        lambda w: bearer(w.signers.token(exp=at_seconds(-LEEWAY_S - 5))),
    ),
    way("no expiry", Reason.TOKEN_CLAIM, lambda w: bearer(w.signers.token(exp=None))),
    way(
        "not valid yet",
        Reason.TOKEN_TIME,
        lambda w: bearer(w.signers.token(nbf=at_seconds(LEEWAY_S + 60))),
    ),
    way(
        "issued in the future",
        Reason.TOKEN_TIME,
        lambda w: bearer(w.signers.token(iat=at_seconds(LEEWAY_S + 60))),
    ),
    way(
        "an infinite expiry",
        Reason.TOKEN_MALFORMED,
        lambda w: bearer(w.signers.token(exp=float("inf"))),
    ),
    way(
        "an old key under its old id",
        Reason.TOKEN_KEY,
        lambda w: bearer(jwt.encode(payload(), w.signers.gone, "RS256", {"kid": "r0"})),
    ),
    way(
        "an old key under a new id",
        Reason.TOKEN_SIGNATURE,
        lambda w: bearer(jwt.encode(payload(), w.signers.gone, "RS256", {"kid": "r1"})),
    ),
    way(
        "a key id nobody has",
        Reason.TOKEN_KEY,
        lambda w: bearer(w.signers.token(headers={"kid": "../../r1"})),
    ),
    way(
        "no key id",
        Reason.TOKEN_KEY,
        lambda w: bearer(jwt.encode(payload(), w.signers.rsa, "RS256")),
    ),
    way("a key in the token's header", Reason.TOKEN_SIGNATURE, embedded),
    way(
        "a critical header nobody knows",
        Reason.TOKEN_MALFORMED,
        lambda w: bearer(w.signers.token(headers={"kid": "r1", "crit": ["exp"], "exp": 1})),
    ),
    way("no tenant", Reason.TOKEN_CLAIM, lambda w: bearer(w.signers.token(tenant=None))),
    way("an empty tenant", Reason.TOKEN_CLAIM, lambda w: bearer(w.signers.token(tenant=""))),
    way(
        "a list of tenants",
        Reason.TOKEN_CLAIM,
        lambda w: bearer(w.signers.token(tenant=["hospital"])),
    ),
    way(
        "a tenant nobody bound",
        Reason.TOKEN_UNBOUND,
        lambda w: bearer(w.signers.token(tenant="bakery")),
    ),
    way("no subject", Reason.TOKEN_CLAIM, lambda w: bearer(w.signers.token(sub=None))),
    way(
        "another tenant written in",
        Reason.TOKEN_SIGNATURE,
        lambda w: bearer(repacked(w.signers.token(), tenant="factory")),
    ),
    way("a signature cut short", Reason.TOKEN_SIGNATURE, lambda w: bearer(w.signers.token()[:-6])),
    way("two parts", Reason.TOKEN_MALFORMED, lambda w: bearer(w.signers.token().rsplit(".", 1)[0])),
    way("five parts", Reason.TOKEN_MALFORMED, lambda w: bearer("a.b.c.d.e")),
    way("a word", Reason.TOKEN_MALFORMED, lambda w: bearer("letmein")),
    way(
        "a thousand brackets",
        Reason.TOKEN_MALFORMED,
        lambda w: bearer(f"{part({'alg': 'RS256', 'kid': 'r1'})}.{part('[' * 4000)}.AAAA"),
    ),
    way(
        "a payload that is a list",
        Reason.TOKEN_MALFORMED,
        lambda w: bearer(f"{part({'alg': 'RS256', 'kid': 'r1'})}.{part([1])}.AAAA"),
    ),
]
