"""A real browser, driven over a pipe by the DevTools protocol; no library needed.

Protocol: https://chromedevtools.github.io/devtools-protocol, sent as JSON that ends in a zero byte.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """Return the path of a Chromium; SNNCOMPILE_CHROMIUM names another one."""
    chosen = os.environ.get("SNNCOMPILE_CHROMIUM")
    return chosen or next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """A headless Chromium with one page; collects errors of its console and its requests."""

    def __init__(self, path: str, width: int = 1280, height: int = 900) -> None:
        self.folder = tempfile.mkdtemp()
        ends = [*os.pipe(), *os.pipe()]
        to_browser, self.out, self.into, from_browser = (
            fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends
        )
        for end in ends:
            os.close(end)

        def number_ends() -> None:
            """The browser reads from 3 and writes to 4."""
            os.dup2(to_browser, 3)
            os.dup2(from_browser, 4)

        flags = (
            "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars",
            "disable-renderer-backgrounding", "disable-background-timer-throttling",
            "disable-backgrounding-occluded-windows", "remote-debugging-pipe",
            f"user-data-dir={self.folder}",
        )  # fmt: skip
        command = [path, *(f"--{flag}" for flag in flags)]
        self.process = subprocess.Popen(
            command, preexec_fn=number_ends, pass_fds=(3, 4), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self.rest, self.count, self.session = b"", 0, None
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.out)
        os.close(self.into)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method: str, **params: object) -> dict:
        """Return the answer to a command."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read(240)
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def read(self, seconds: float) -> dict:
        """Return the next message; keep what it says of errors and requests."""
        while b"\0" not in self.rest:
            if not select.select([self.into], [], [], seconds)[0]:
                raise TimeoutError("the browser does not answer")
            piece = os.read(self.into, 1 << 20)
            if not piece:
                raise RuntimeError("the browser ended")
            self.rest += piece
        text, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(text)
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.errors.append(
                    details.get("exception", details).get("description", str(details))
                )
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.errors.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.errors.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
        return message

    def resize(self, width: int, height: int, mobile: bool = False) -> None:
        """Set the size of the page in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=1, mobile=mobile,
        )  # fmt: skip

    def evaluate(self, expression: str):
        """Return the value of an expression; promises are waited for."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def open(self, path: Path, condition: str = "true", seconds: float = 240) -> float:
        """Open a file; return the seconds until a condition holds."""
        begun = time.perf_counter()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while time.perf_counter() - begun < seconds:
            if self.evaluate(f"document.readyState === 'complete' && !!({condition})"):
                return time.perf_counter() - begun
            time.sleep(0.02)
        raise TimeoutError(f"{condition} does not come true; errors: {self.errors}")

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Write a picture of the view, or of the whole page."""
        answer = self.call(
            "Page.captureScreenshot",
            captureBeyondViewport=whole,
            **({"clip": self.measure()} if whole else {}),
        )
        path.write_bytes(base64.b64decode(answer["data"]))

    def measure(self) -> dict:
        """Return the rectangle of the whole page."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
