"""A bucket on loopback: the gcp-storage-emulator in a process of its own, behind a proxy that can misbehave."""

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

BUCKET = "melgan-test"


@dataclass
class Fault:
    """What happens to the next `times` requests that match: `kind` is "503", "corrupt" or "stall"."""

    kind: str
    method: str
    part_of_path: str
    times: int
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def applies(self, method: str, path: str) -> bool:
        if self.times <= 0 or method != self.method or self.part_of_path not in path:
            return False
        self.times -= 1
        self.reached.set()
        return True


class BucketServer:
    """The address that clients use, and the faults that they meet."""

    def __init__(self) -> None:
        self._port = free_port()
        settings = ("--host=127.0.0.1", f"--port={self._port}", "--in-memory", f"--default-bucket={BUCKET}")
        command = [sys.executable, "-m", "gcp_storage_emulator", "start", *settings]
        self._emulator = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.faults: list[Fault] = []
        self._proxy = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._port, self.faults))
        threading.Thread(target=self._proxy.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._proxy.server_port}"
        wait_for(lambda: _listens(self._port))

    def inject(self, kind: str, method: str, part_of_path: str, times: int = 1_000_000) -> Fault:
        fault = Fault(kind, method, part_of_path, times)
        self.faults.append(fault)
        return fault

    def close(self) -> None:
        self._proxy.shutdown()
        self._emulator.kill()
        self._emulator.wait()


def _handler(port: int, faults: list[Fault]) -> type[BaseHTTPRequestHandler]:
    creating = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = next((fault for fault in faults if fault.applies(self.command, self.path)), None)
            if fault is not None and fault.kind == "503":
                self.answer(503, {}, b'{"error": {"code": 503, "message": "backend error"}}')
                return
            if fault is not None and fault.kind == "stall":
                fault.released.wait(60)
                self.close_connection = True
                return
            with creating if "ifGenerationMatch=0" in self.path else contextlib.nullcontext():
                if "ifGenerationMatch=0" in self.path and self.exists(body):
                    self.answer(412, {}, b'{"error": {"code": 412, "message": "conditionNotMet"}}')
                    return
                self.pass_on(body, fault)

        def exists(self, body: bytes) -> bool:
            """Whether there is an object of the name that an upload has; the emulator knows no preconditions."""
            name = json.loads(re.search(rb"\n\n(\{.*?\})\n", body)[1])["name"]
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", f"/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}")
            return connection.getresponse().status == 200

        def pass_on(self, body: bytes, fault: Fault | None) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            connection.request(self.command, self.path, body, {**headers, "Host": self.headers["Host"]})
            response = connection.getresponse()
            data = response.read()
            if fault is not None and fault.kind == "corrupt":
                data = data[:-1] + bytes([data[-1] ^ 1])
            self.answer(response.status, dict(response.getheaders()), data)
            connection.close()

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "server", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client was killed, or has enough
                    self.wfile.write(body)

        def log_message(self, *arguments) -> None:
            del arguments

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = forward

    return Handler


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def environment(address: str) -> dict[str, str]:
    """The variables by which a process finds the bucket."""
    return {**os.environ, "STORAGE_EMULATOR_HOST": address, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
