"""How an address is written."""

from urllib.parse import urlsplit


def host_port(host: str, port: int) -> str:
    """Write an address; an IPv6 address gets the brackets it needs before a port."""
    bare = ":" in host and not host.startswith("[")
    return f"[{host}]:{port}" if bare else f"{host}:{port}"


def address_fault(url: str) -> str | None:
    """Say what is wrong with an http(s) address that paths are appended to; None: nothing."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
    except UnicodeError:
        return "its host is no name: a part of it is empty, or longer than 63 characters"
    except ValueError:
        return "its port is no number from 1 to 65535, or its brackets are not closed"
    if parts.scheme not in {"http", "https"}:
        return "it begins neither with http:// nor with https://"
    if any(map(str.isspace, url)):
        return "it has white space in it"
    if not host:
        return "it names no host"
    if port == 0:
        return "its port is 0"
    if "?" in url or "#" in url:
        return "it has a query or a fragment, and paths are appended to it"
    return None
