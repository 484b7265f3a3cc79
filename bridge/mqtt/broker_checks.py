"""What the broker lets us do, found out by trying."""

import ipaddress
import uuid
from collections.abc import AsyncIterator, Iterable

from bridge.config import Config, Mqtt
from bridge.errors import BrokerError
from bridge.findings import Finding
from bridge.mqtt import duplicate_bridge, error_text
from bridge.mqtt.client import FAILURE
from bridge.mqtt.error_text import AttemptError, Hint
from bridge.mqtt.messages import Version
from bridge.mqtt.one_shot import Guest
from bridge.mqtt.topics import Topics


def _name() -> str:
    """Return a client id that no bridge has, so that none is thrown out."""
    return f"gcode2mqtt-doctor-{uuid.uuid4().hex[:8]}"


class BrokerDiagnosis:
    """Looks at the broker, then at each printer's topics there.

    Attributes:
        reachable: the broker let us in.

    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._guest = Guest(config.mqtt, _name())
        self.reachable = False

    async def connection(self) -> AsyncIterator[Finding]:
        """Yield what came of connecting: the broker, TLS, the account."""
        mqtt = self._config.mqtt
        try:
            await self._guest.arrive()
        except AttemptError as error:
            refused = error.hint is Hint.REFUSED
            if refused:
                yield Finding("broker", "ok", f"{error_text.endpoint(mqtt)} answers")
            check = "account" if refused else "broker"
            yield Finding(check, "wrong", error.message)
            return
        self.reachable = True
        version = self._guest.version.value
        text = f"{error_text.endpoint(mqtt)} answers, with MQTT {version}"
        yield Finding("broker", "ok", text)
        yield _encryption(mqtt)
        warning = exposed(mqtt, raw=self._config.rights.raw)
        accepted = f"{error_text.user(mqtt)} is let in"
        yield Finding("account", "note" if warning else "ok", warning or accepted)

    async def home_assistant(self) -> AsyncIterator[Finding]:
        """Yield whether Home Assistant's topics can be used."""
        settings = self._config.home_assistant
        if not settings.enabled:
            return
        code = (await self._guest.subscribe([settings.birth_topic], replay=False))[0]
        yield self._right("birth", settings.birth_topic, code, write=False)
        topic = f"{settings.prefix}/device/{_name()}/config"
        code = await self._guest.publish(topic, b"", retain=True)
        yield self._right("discovery", topic, code, write=True)

    async def topics(self, topics: Topics) -> AsyncIterator[Finding]:
        """Yield what can be done with a printer's topics, and what lies there.

        What is published to find out about the right is what is retained already, or
        nothing; while a bridge serves the topics, they are left alone.

        Raises:
            BrokerError: The broker stopped answering.

        """
        heard = (*topics.commands, topics.availability, topics.info)
        codes = await self._guest.subscribe(heard, replay=False)
        async for finding in self._many(
            "subscribe", zip(heard, codes, strict=False), write=False
        ):
            yield finding
        self._guest.retained.clear()
        code = (await self._guest.subscribe([f"{topics.base}/#"], replay=True))[0]
        if code < FAILURE:
            yield self._leftovers(topics)
        other = await self._other(topics)
        if other is None:
            async for finding in self._publications(topics):
                yield finding
            return
        text = (
            f"a bridge (instance {other}) serves {topics.base}/… now; only one may, so "
            "stop it before you start another"
        )
        yield Finding("bridge", "note", text)

    async def leave(self) -> None:
        """Take leave of the broker."""
        await self._guest.leave()

    async def _publications(self, topics: Topics) -> AsyncIterator[Finding]:
        if self._guest.version is Version.V311:
            text = "MQTT 3.1.1 does not tell whether we may; the broker's log does"
            yield Finding("publish", "note", text)
            return
        kept = dict(self._guest.retained)
        answers: list[tuple[str, int]] = []
        for topic in topics.retained(()):
            payload = kept.get(topic, b"")
            code = await self._guest.publish(topic, payload, retain=True)
            answers.append((topic, code))
        said = [topics.event, topics.response]
        said += [topics.console] if self._config.mqtt.console else []
        for topic in said:
            code = await self._guest.publish(topic, b"", retain=False)
            answers.append((topic, code))
        async for finding in self._many("publish", answers, write=True):
            yield finding

    async def _many(
        self, check: str, answers: Iterable[tuple[str, int]], *, write: bool
    ) -> AsyncIterator[Finding]:
        """Yield one finding for all that is allowed, and one for each that is not."""
        allowed = 0
        for topic, code in answers:
            if code >= FAILURE:
                yield self._right(check, topic, code, write=write)
            else:
                allowed += 1
        yield Finding(check, "ok", f"{allowed} topics allowed")

    def _right(self, check: str, topic: str, code: int, *, write: bool) -> Finding:
        if code < FAILURE:
            return Finding(check, "ok", f"{topic} allowed")
        text = error_text.no_right(self._config.mqtt, topic, write=write, code=code)
        return Finding(check, "wrong", text)

    def _leftovers(self, topics: Topics) -> Finding:
        left = sorted(filter(topics.is_command, self._guest.retained))
        if not left:
            return Finding(
                "retained", "ok", "no message is retained on a command topic"
            )
        return Finding(
            "retained",
            "wrong",
            f"a message is retained on {', '.join(left)}: refused at each "
            "start; find out who sends it with the RETAIN flag, and clear it with "
            f"mosquitto_pub -r -n -t {left[0]}",
        )

    async def _other(self, topics: Topics) -> str | None:
        name = _name()
        try:
            return await duplicate_bridge.look(
                self._config.mqtt,
                topics,
                client_id=name,
                instance=name,
                version=self._guest.version,
            )
        except AttemptError as error:
            raise BrokerError(error.message) from error


def _encryption(mqtt: Mqtt) -> Finding:
    if mqtt.tls.enabled:
        name = mqtt.tls.server_name or mqtt.host
        return Finding("TLS", "ok", f"the certificate for {name} is trusted")
    if is_local(mqtt):
        return Finding("TLS", "ok", "not used, and not needed on this machine")
    text = "not used: others on the network can read the password and every message"
    return Finding("TLS", "note", f"{text}; see mqtt.tls.enabled")


def exposed(config: Mqtt, *, raw: bool) -> str | None:
    """Return a warning about a broker that takes us without asking who we are.

    Args:
        config: how we connect.
        raw: any G-code may be sent over MQTT.

    """
    named = config.username is not None or config.tls.cert_file is not None
    if named or not raw or is_local(config):
        return None
    return (
        f"the broker {config.host} takes anonymous clients, so everybody on its "
        "network can send any G-code: give it accounts (see deploy/mosquitto) and "
        "set mqtt.username, or switch rights.raw off"
    )


def is_local(config: Mqtt) -> bool:
    """Tell whether only programs on this machine can reach the broker that way."""
    if config.transport == "unix" or config.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(config.host).is_loopback
    except ValueError:
        return False
