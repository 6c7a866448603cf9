"""Write names of files, whose bytes may be no UTF-8, as text that any report can hold."""


def shown(name: str) -> str:
    """A name, or a text with names in it, as text: bytes that are no UTF-8 are written as \\xff."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return name
