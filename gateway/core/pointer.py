"""JSON Pointer (RFC 6901): to and from the names along a path."""


def join_pointer(*names: str | int) -> str:
    """The pointer along these names and indices."""
    return "".join(f"/{str(name).replace('~', '~0').replace('/', '~1')}" for name in names)


def split_pointer(pointer: str) -> list[str]:
    """The names along a pointer; "" is the whole document and has none."""
    return [name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/")[1:]]
