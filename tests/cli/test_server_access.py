"""`tame ask` to a router that asks who calls: keys, certificates, documents, a JSON schema."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio.to_thread
import pytest

from tame_router.config_file import load_settings
from tests.cli.conftest import Result, Tame
from tests.fakes.vllm import FakeVllm
from tests.small_experts import QUESTIONS
from tests.tls_service import Noting, Pki, noting

pytestmark = pytest.mark.anyio

KEY = "tame_0123456789abcdef_secretsecretsecret"
LEGAL = QUESTIONS["legal"][0]
Ask = Callable[..., Awaitable[Result]]


@pytest.fixture
def ask(tame: Tame) -> Ask:
    """Give a function that runs `tame ask`."""

    async def run(*arguments: str) -> Result:
        return await anyio.to_thread.run_sync(lambda: tame("ask", *arguments))

    return run


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    """Give a file with the key, as an editor leaves it."""
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n", encoding="utf-8")
    return str(file)


@pytest.fixture
def odd_files() -> None:
    """Put files with a key, without one, and with no text at all into the folder."""
    Path("empty").write_text("\n", encoding="utf-8")
    Path("bytes").write_bytes(b"\xff")
    Path("key").write_text(KEY, encoding="utf-8")


async def test_a_key_comes_from_a_file_or_the_environment(
    ask: Ask, key_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file wins over the environment; without either nothing is shown."""
    async with noting(noted := Noting()) as address:
        results = [await ask("--server", address, "hello")]
        monkeypatch.setenv("TAME_API_KEY", "of-the-environment")
        results.append(await ask("--server", address, "hello"))
        results.append(await ask("--server", address, "--key-file", key_file, "hello"))
    assert [result.code for result in results] == [0, 0, 0]
    assert [seen.get("authorization") for _, seen in noted.calls] == [
        None,
        ["Bearer of-the-environment"],
        [f"Bearer {KEY}"],
    ]
    assert not any(KEY in result.out + result.err for result in results)


def test_the_key_of_the_environment_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that read the configuration run beside it."""
    monkeypatch.setenv("TAME_API_KEY", KEY)
    assert KEY not in repr(load_settings())


async def test_certificates_are_files(ask: Ask, tmp_path: Path, key_file: str) -> None:
    """Authorities, a client's certificate and its key reach the router."""
    pki, noted = Pki(tmp_path), Noting()
    tls = ("--tls-ca", str(pki.ca), "--cert", str(pki.cert), "--cert-key", str(pki.key))
    async with noting(noted, pki.server_credentials(require_client=True)) as address:
        result = await ask("--server", address, "--key-file", key_file, *tls, "hello")
    assert (result.code, noted.peers) == (0, [b"his"])


async def test_the_authorities_of_the_system_do_not_know_it(ask: Ask, tmp_path: Path) -> None:
    """With --tls alone a router of an authority of its own is refused."""
    noted, pki = Noting(), Pki(tmp_path)
    async with noting(noted, pki.server_credentials(require_client=False)) as address:
        result = await ask("--server", address, "--tls", "hello")
    assert result.code == 1
    assert "the router cannot be reached" in result.err
    assert noted.calls == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--key-file", "nowhere"), 2, "--key-file nowhere: No such file"),
        (("--key-file", "empty"), 2, "is empty; expected the API key"),
        (("--key-file", "bytes"), 2, "is not UTF-8"),
        (("--cert", "cert.pem"), 2, "--cert and --cert-key go together"),
        (("--tls-ca", "nowhere.pem"), 3, "nowhere.pem cannot be read: No such file"),
        (("--document", "nowhere.txt"), 2, "--document nowhere.txt: No such file"),
        (("--json-schema", "nowhere.json"), 2, "--json-schema nowhere.json: No such file"),
        (("--server", "tame.example:1", "--key-file", "key"), 3, "without TLS, for anyone"),
    ],
)
async def test_what_cannot_be_used_is_said_before_the_call(
    ask: Ask, odd_files: None, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """A file that is not there, or a key that others could read, ends the command."""
    result = await ask(*arguments, "hello")
    assert (result.code, result.out) == (code, "")
    assert words in result.err
    assert KEY not in result.err


async def test_documents_and_a_schema_are_files(
    ask: Ask, address: str, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    """They are taken by the router; a schema that is none is refused by name."""
    contract, schema = tmp_path / "contract.txt", tmp_path / "schema.json"
    contract.write_text("押金應於租期屆滿時返還。", encoding="utf-8")
    schema.write_text('{"type": "object"}', encoding="utf-8")
    files = ("--document", str(contract), "--json-schema", str(schema))
    result = await ask("--server", address, *files, LEGAL)
    assert result.code == 0
    assert result.out.strip()
    assert len(fake_vllm.chats) == 1
    schema.write_text("[]", encoding="utf-8")
    result = await ask("--server", address, *files, LEGAL)
    assert result.code == 2
    assert "response_format.schema is not a JSON object" in result.err
