"""How an address is written."""


def host_port(host: str, port: int) -> str:
    """Write an address; an IPv6 address gets the brackets it needs before a port."""
    bare = ":" in host and not host.startswith("[")
    return f"[{host}]:{port}" if bare else f"{host}:{port}"
