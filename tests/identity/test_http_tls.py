"""TLS of the HTTP port: over a real socket, with files that change while it serves."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tame_router.config_access import TlsSettings
from tame_router.errors import ConfigError
from tame_router.identity.http_tls import http_context
from tests.identity.world import HOUR, NOW, Pki, certificate, der, pem

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def pki() -> Pki:
    """Give authorities and certificates."""
    return Pki()


@pytest.fixture
def files(pki: Pki, tmp_path: Path) -> dict[str, Any]:
    """Give the files of a server."""
    return pki.write(tmp_path)


@asynccontextmanager
async def listening(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Tell whoever connects which certificate it brought; give the port."""

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("ssl_object")
        writer.write(connection.getpeercert(binary_form=True) or b"none")
        writer.close()

    server = await asyncio.start_server(tell, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def connect(
    port: int, pki: Pki, leaf: trustme.LeafCert | None = None, **changes: Any
) -> tuple[bytes, bytes]:
    """Connect; give what the server said, and its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pki.ca.configure_trust(context)
    context.check_hostname = False
    if leaf:
        leaf.configure_cert(context)
    for name, value in changes.items():
        setattr(context, name, value)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=(changes and None) or ""
    )
    said = await reader.read()
    served = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return said, served


async def refused(port: int, pki: Pki, leaf: trustme.LeafCert | None = None) -> bool:
    """Tell whether the server ends a connection instead of saying anything."""
    try:
        said, _ = await connect(port, pki, leaf)
    except (ssl.SSLError, ConnectionError):
        return True
    return said == b""  # in TLS 1.3 a client is done before the server has looked


async def test_a_certificate_is_verified_where_one_comes(pki: Pki, files: dict[str, Any]) -> None:
    """None is fine, ours is told, a stranger's is refused: request and verify if given."""
    async with listening(http_context(TlsSettings(**files))) as port:
        assert (await connect(port, pki))[0] == b"none"
        assert (await connect(port, pki, pki.san))[0] == der(pki.san)
        for leaf in (pki.stranger, pki.expired):
            assert await refused(port, pki, leaf)


async def test_a_certificate_can_be_required(pki: Pki, files: dict[str, Any]) -> None:
    """Without one there is no answer."""
    context = http_context(TlsSettings(**files, require_client_certificate=True))
    async with listening(context) as port:
        assert (await connect(port, pki, pki.san))[0] == der(pki.san)
        assert await refused(port, pki)


async def test_an_old_protocol_is_refused(pki: Pki, files: dict[str, Any]) -> None:
    """TLS 1.2 will do, TLS 1.1 will not."""
    context = http_context(TlsSettings(certificate=files["certificate"], key=files["key"]))
    assert context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    async with listening(context) as port:
        said, _ = await connect(port, pki, maximum_version=ssl.TLSVersion.TLSv1_2)
        assert said == b"none"


async def test_files_change_while_it_serves(
    pki: Pki, files: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """New certificate, new authorities: at the next handshake; a broken file changes nothing."""
    now = [0.0]
    settings = TlsSettings(**files)
    async with listening(http_context(settings, lambda: now[0])) as port:
        assert (await connect(port, pki))[1] == der(pki.server)
        renewed = pki.ca.issue_cert("localhost")
        files["certificate"].write_bytes(b"-----BEGIN")
        now[0] += 2
        assert (await connect(port, pki))[1] == der(pki.server)
        files["certificate"].write_bytes(pem(renewed))  # its key is not there yet
        now[0] += 2
        assert (await connect(port, pki))[1] == der(pki.server)
        assert [r.message for r in caplog.records].count("files.refused") == 2
        files["key"].write_bytes(renewed.private_key_pem.bytes())
        files["client_ca"].write_bytes(pki.stranger_ca.cert_pem.bytes())
        now[0] += 2
        assert (await connect(port, pki, pki.stranger)) == (der(pki.stranger), der(renewed))
        assert await refused(port, pki, pki.san)


def test_without_a_certificate_there_is_no_tls(files: dict[str, Any]) -> None:
    """No files, or a proxy that has them: plain HTTP."""
    assert http_context(TlsSettings()) is None
    assert http_context(TlsSettings(**files, terminated_elsewhere=True)) is None


Spoil = Callable[[dict[str, Any], Pki], object]
SPOILT: dict[str, tuple[Spoil, str]] = {
    "no certificate": (
        lambda f, p: f["certificate"].unlink(),
        r"tls\.certificate .*cannot be read",
    ),
    "not PEM": (lambda f, p: f["client_ca"].write_bytes(b"x"), r"tls\.client_ca .*expected PEM"),
    "no key": (lambda f, p: f["key"].write_bytes(b"secret"), r"tls\.key .*without a password$"),
    "another key": (
        lambda f, p: f["key"].write_bytes(p.san.private_key_pem.bytes()),
        r"tls\.key .*is not the key of tls\.certificate",
    ),
}


@pytest.mark.parametrize(("spoil", "words"), SPOILT.values(), ids=SPOILT)
def test_files_that_cannot_be_used_stop_the_start(
    files: dict[str, Any], pki: Pki, spoil: Spoil, words: str
) -> None:
    """The setting and the file are named, and nothing of the key."""
    spoil(files, pki)
    with pytest.raises(ConfigError, match=words) as caught:
        http_context(TlsSettings(**files))
    assert "secret" not in caught.value.message


def test_a_key_is_missing(files: dict[str, Any]) -> None:
    """A certificate without a key is half a setting."""
    with pytest.raises(ConfigError, match=r"tls\.key is not set"):
        http_context(TlsSettings(certificate=files["certificate"]))


def test_what_an_operator_should_mend_is_logged(
    files: dict[str, Any], pki: Pki, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that everyone can read, and a certificate that has ended: it starts, and says so."""
    old = pki.ca.issue_cert("localhost", not_before=NOW - 9 * HOUR, not_after=NOW - HOUR)
    files["certificate"].write_bytes(pem(old))
    files["key"].write_bytes(old.private_key_pem.bytes())
    files["key"].chmod(0o644)
    assert http_context(TlsSettings(**files))
    assert {record.message for record in caplog.records} == {"tls.key_exposed", "tls.expired"}


def test_the_test_server_is_what_it_says(pki: Pki) -> None:
    """The fixture's DER and PEM are one certificate."""
    again = x509.load_der_x509_certificate(der(pki.server))
    assert again.public_bytes(Encoding.PEM) == certificate(pki.server).public_bytes(Encoding.PEM)
