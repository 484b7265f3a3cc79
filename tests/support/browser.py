"""A real Chromium without a window, driven over the DevTools protocol.

It speaks JSON over two pipes (``--remote-debugging-pipe``,
https://chromedevtools.github.io/devtools-protocol/), so nothing has to be installed but
the browser. ``GCODE2MQTT_BROWSER`` names its program where it is not on the PATH.
"""

import base64
import json
import os
import select
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.waiting import DEADLINE

CHOICE = "GCODE2MQTT_BROWSER"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = (1440, 900), (390, 844)
"""Sizes of a window in CSS pixels: a notebook's, and an ordinary phone's."""

_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--hide-scrollbars", "--disable-dev-shm-usage", "--force-color-profile=srgb"),
    *("--disable-background-networking", "--disable-component-update", "--lang=en-US"),
    *("--proxy-server=direct://", "--remote-debugging-pipe"),
)
_DEEP = """
(() => {
  const all = (root, selector) => [
    ...root.querySelectorAll(selector),
    ...[...root.querySelectorAll("*")].flatMap(
      (it) => it.shadowRoot ? all(it.shadowRoot, selector) : []),
  ];
  const text = (root) => [...root.childNodes].map((it) => {
    if (it.nodeType === Node.TEXT_NODE) return it.textContent;
    if (["STYLE", "SCRIPT", "TEMPLATE"].includes(it.nodeName)) return "";
    if (it.nodeName === "SLOT") return it.assignedNodes().map(
      (one) => one.nodeType === Node.TEXT_NODE
        ? one.textContent : text(one.shadowRoot || one)).join(" ");
    return text(it.shadowRoot || it);
  }).join(" ").replace(/\\s+/g, " ");
  window.deep = {
    all: (selector) => all(document, selector),
    shown: (selector) => all(document, selector).filter(
      (it) => it.getClientRects().length > 0),
    text: () => text(document.body),
  };
})();
"""
"""``deep`` looks into shadow roots too, of which Home Assistant's pages consist."""

Json = dict[str, Any]


@dataclass
class Page:
    """One tab.

    Attributes:
        browser: whose tab it is.
        session: its id in the protocol.
        errors: what its scripts have failed with.

    """

    browser: "Browser"
    session: str
    errors: list[str] = field(default_factory=list)

    def call(self, method: str, **parameters: object) -> Json:
        """Call a method of the protocol for this tab."""
        return self.browser.call(method, self.session, parameters)

    def look(self, size: tuple[int, int], *, dark: bool = False) -> None:
        """Set its size in CSS pixels, and whether the system prefers dark colors."""
        width, height = size
        phone = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def before(self, script: str) -> None:
        """Run a script in every page that is opened from now on, before its own."""
        self.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def open(self, url: str) -> None:
        """Go to a page."""
        self.call("Page.navigate", url=url)

    def run(self, script: str) -> Any:  # noqa: ANN401 - whatever JSON it is
        """Return the value of an expression, which may be a promise."""
        answer = self.call(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
        )
        failed = answer.get("exceptionDetails")
        assert failed is None, f"{script}: {failed}"
        return answer["result"].get("value")

    def until(self, script: str, within: float = DEADLINE) -> Any:  # noqa: ANN401
        """Wait until an expression is true, and return its value."""
        deadline = time.monotonic() + within
        while True:
            try:
                if value := self.run(f"(() => {{ return {script} }})()"):
                    return value
            except AssertionError:  # the page is only just being loaded
                if time.monotonic() > deadline:
                    raise
            assert time.monotonic() < deadline, f"{script}; {self.errors}"
            time.sleep(0.05)

    def shows(self, *texts: str, within: float = DEADLINE) -> None:
        """Wait until the page shows all of these texts."""
        for text in texts:
            self.until(f"deep.text().includes({json.dumps(text)})", within)

    def hides(self, *texts: str, within: float = DEADLINE) -> None:
        """Wait until the page shows none of these texts."""
        for text in texts:
            self.until(f"!deep.text().includes({json.dumps(text)})", within)

    def click(self, selector: str, text: str = "") -> None:
        """Click on the first thing that can be seen, with a real mouse."""
        find = (
            f"deep.shown({json.dumps(selector)}).find("
            f"(it) => (it.textContent || '').includes({json.dumps(text)}))"
        )
        self.until(f"!!({find})")
        where = (
            f"(() => {{ const it = {find}; it.scrollIntoView({{block: 'center'}});"
            " const box = it.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        before, now = None, self.until(where)
        while before != now:  # a page that is still being built moves under the mouse
            time.sleep(0.2)
            before, now = now, self.until(where)
        x, y = now
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x,
                y=y,
                button="left",
                clickCount=1,
            )

    def type(self, text: str) -> None:
        """Press the keys of a text, one after the other."""
        for char in text:
            self.key(char, char)

    def key(self, key: str, text: str = "") -> None:
        """Press one key, such as ``Enter``."""
        codes = {"Enter": 13, "Tab": 9, "Escape": 27, "Backspace": 8}
        text = {"Enter": "\r"}.get(key, text)
        common = {"key": key, "windowsVirtualKeyCode": codes.get(key, 0)}
        down = "keyDown" if text else "rawKeyDown"
        self.call("Input.dispatchKeyEvent", type=down, text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write what is seen, or the whole page, as PNG."""
        self.call("Page.bringToFront")  # nothing is drawn in a tab behind another
        shot = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=whole
        )
        path.write_bytes(base64.b64decode(shot["data"]))


class Browser:
    """The process; :func:`browser` starts and ends it.

    Args:
        profile: a folder for what it writes.

    """

    def __init__(self, profile: Path) -> None:
        read, self._write = os.pipe()
        self._read, write = os.pipe()
        command = [program(), *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        # Chromium reads commands from descriptor 3, and answers on 4.
        script = f"exec {shlex.join(command)} 3<&{read} 4>&{write}"
        self._process = subprocess.Popen(  # noqa: S602 - what is run is quoted
            script,
            shell=True,
            executable="/bin/bash",
            pass_fds=(read, write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(read)
        os.close(write)
        self._unread = b""
        self._number = 0
        self._pages: dict[str, Page] = {}

    def page(self, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Page:
        """Open a tab."""
        target = self.call("Target.createTarget", None, {"url": "about:blank"})
        attached = self.call(
            "Target.attachToTarget",
            None,
            {"targetId": target["targetId"], "flatten": True},
        )
        page = Page(self, attached["sessionId"])
        self._pages[page.session] = page
        page.call("Page.enable")
        page.call("Runtime.enable")
        page.before(_DEEP)
        page.look(size, dark=dark)
        return page

    def call(self, method: str, session: str | None, parameters: Json) -> Json:
        """Call a method of the protocol, and return its result."""
        self._number += 1
        message: Json = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: Json = answer["result"]
        return result

    def close(self) -> None:
        """End it, and everything it has started."""
        self._process.terminate()
        self._process.wait(DEADLINE)
        os.close(self._read)
        os.close(self._write)

    def _note(self, event: Json) -> None:
        page = self._pages.get(event.get("sessionId", ""))
        if page is not None and event.get("method") == "Runtime.exceptionThrown":
            details = event["params"]["exceptionDetails"]
            thrown = details.get("exception", {}).get("description", "")
            page.errors.append(f"{details.get('text', '')} {thrown}")

    def _receive(self) -> Json:
        deadline = time.monotonic() + DEADLINE
        while b"\0" not in self._unread:
            left = deadline - time.monotonic()
            assert select.select([self._read], [], [], max(left, 0))[0], "no answer"
            chunk = os.read(self._read, 1 << 20)
            assert chunk, "the browser has ended"
            self._unread += chunk
        message, self._unread = self._unread.split(b"\0", 1)
        received: Json = json.loads(message)
        return received


def program() -> str:
    """Return the browser's program."""
    chosen = os.environ.get(CHOICE) or next(filter(shutil.which, PROGRAMS), None)
    assert chosen, f"no Chromium on the PATH, and {CHOICE} is not set"
    return chosen


@contextmanager
def browser() -> Iterator[Browser]:
    """Run a browser until the block ends."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        running = Browser(Path(profile))
        try:
            yield running
        finally:
            running.close()
