"""Where keys come from: over real https, and from nowhere else than was said."""

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from tame_router.identity import jwks_source
from tame_router.identity.jwks_source import JwksSource, SourceError

DOCUMENT = {"keys": [{"kty": "EC"}]}


class Issuer(ThreadingHTTPServer):
    """An issuer over https.

    Attributes:
        answers: Status, location and body by path.
    """

    def __init__(self, certificate: trustme.LeafCert) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.answers: dict[str, tuple[int, str, bytes]] = {}
        self.url = f"https://localhost:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer as the test says."""
        assert isinstance(self.server, Issuer)
        status, location, body = self.server.answers.get(self.path, (404, "", b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture
def issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """Give an issuer that this machine trusts."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("no_proxy", "localhost")
    server = Issuer(ca.issue_cert("localhost"))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def found(issuer: Issuer, url: str = "/jwks") -> dict[str, object]:
    """Fetch the keys."""
    return JwksSource(issuer.url, issuer.url + url if url else "").fetch()


def test_keys_come_over_https(issuer: Issuer) -> None:
    """From the address that was given, and by a redirect on the same host."""
    issuer.answers["/jwks"] = (200, "", json.dumps(DOCUMENT).encode())
    issuer.answers["/old"] = (302, "/jwks", b"")
    assert found(issuer) == found(issuer, "/old") == DOCUMENT


def test_keys_are_discovered(issuer: Issuer) -> None:
    """By the issuer's own configuration, which must name the issuer and an https address."""
    issuer.answers["/jwks"] = (200, "", json.dumps(DOCUMENT).encode())
    place = "/.well-known/openid-configuration"

    def configure(**values: object) -> None:
        told = {"issuer": issuer.url, "jwks_uri": issuer.url + "/jwks", **values}
        issuer.answers[place] = (200, "", json.dumps(told).encode())

    configure()
    assert found(issuer, "") == DOCUMENT
    for values, words in (
        ({"issuer": "https://evil.example"}, "another issuer"),
        ({"jwks_uri": "http://localhost/jwks"}, "no https address"),
        ({"jwks_uri": 7}, "no https address"),
    ):
        configure(**values)
        with pytest.raises(SourceError, match=words):
            found(issuer, "")


@pytest.mark.parametrize(
    ("status", "location", "body", "words"),
    [
        (404, "", b"", "404"),
        (500, "", b"", "500"),
        (302, "https://127.0.0.1:1/jwks", b"", "redirects to another host"),
        (302, "http://localhost/jwks", b"", "redirects to another host"),
        (302, "file:///etc/passwd", b"", "not allowed"),
        (200, "", b"not json", "Expecting value"),
        (200, "", b"[]", "expected a JSON object"),
        (200, "", b"[" * 100_000, "recursion"),
        (200, "", b" " * (jwks_source.MAX_BYTES + 9), "more than 1048576 bytes"),
    ],
)
def test_what_is_no_answer_is_named(
    issuer: Issuer, status: int, location: str, body: bytes, words: str
) -> None:
    """An error, a way elsewhere, no JSON, or too much of it."""
    issuer.answers["/jwks"] = (status, location, body)
    with pytest.raises(SourceError, match=words):
        found(issuer)


def test_a_drip_ends(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However steadily it comes, a document has its time."""
    monkeypatch.setattr(jwks_source, "WHOLE_TIMEOUT_S", -1.0)
    issuer.answers["/jwks"] = (200, "", json.dumps(DOCUMENT).encode())
    with pytest.raises(SourceError, match="took more than"):
        found(issuer)


def test_a_stranger_on_the_line_is_noticed(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A certificate of an authority that is not trusted ends it."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    with pytest.raises(SourceError, match="CERTIFICATE_VERIFY_FAILED"):
        found(issuer)


def test_a_file_will_do(tmp_path: Path) -> None:
    """For tests and machines without a network; http is refused, and so is what is not there."""
    file = tmp_path / "key set.json"
    file.write_text(json.dumps(DOCUMENT))
    assert JwksSource("x", file.as_uri()).fetch() == DOCUMENT
    for url in ("http://localhost/jwks", "ftp://localhost/x", (tmp_path / "none").as_uri()):
        with pytest.raises(SourceError):
            JwksSource("x", url).fetch()
