"""Other people's text on a terminal, which must not obey it."""


def plain(text: str) -> str:
    """Replace what is no printable character, escape sequences above all."""
    return "".join(c if c.isprintable() or c == "\u3000" else "\ufffd" for c in text)


def shown(text: str) -> str:
    """Make a text plain, and take the meaning from what rich would read as markup."""
    from rich.markup import escape

    return escape(plain(text))
