"""A phone with the Home Assistant app: what it is sent, and its buttons."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.daemons import wait_for
from tests.support.hass import HomeAssistant

Json = dict[str, Any]

EVENT = "mobile_app_notification_action"
"""Home Assistant's event for a button of a notification."""

_LIMITS = {"rateLimits": {"successful": 1, "errors": 0, "maximum": 150}}


class Phone:
    """A phone that is registered with a Home Assistant.

    Attributes:
        device: the id of its device there.
        sent: the notifications that it was sent.

    """

    def __init__(self, hass: HomeAssistant, name: str, push_url: str) -> None:
        self._hass = hass
        self.sent: list[Json] = []
        self.device = hass.phone(name, push_url)

    def messages(self, word: str = "") -> list[str]:
        """Return the texts that it has shown and that contain a word."""
        texts = [str(one["message"]) for one in self.sent]
        return [text for text in texts if word in text]

    def shows(self, word: str, within: float = 60.0) -> Json:
        """Wait for a notification whose text contains a word, and return it."""
        wait_for(
            lambda: bool(self.messages(word)), f"{word}; {self.messages()}", within
        )
        return next(one for one in reversed(self.sent) if word in str(one["message"]))

    def press(self, notification: Json, title: str) -> None:
        """Press a button of a notification."""
        actions = notification["data"]["actions"]
        action = next(one["action"] for one in actions if one["title"] == title)
        self._hass.fire(EVENT, action=action)


@contextmanager
def phone(hass: HomeAssistant, name: str) -> Iterator[Phone]:
    """Have a phone until the block ends; its push service is a server of our own."""
    received: list[Json] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            received.append(json.loads(self.rfile.read(length)))
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(_LIMITS).encode())

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            owned = Phone(hass, name, f"http://127.0.0.1:{server.server_port}/push")
            owned.sent = received
            yield owned
        finally:
            server.shutdown()
            thread.join()
