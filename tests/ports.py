"""Free ports of this machine."""

import socket
from contextlib import ExitStack


def free_ports(number: int) -> list[int]:
    """Returns ports that nobody listened on just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("localhost", 0))) for _ in range(number)]
        return [each.getsockname()[1] for each in sockets]
