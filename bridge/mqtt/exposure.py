"""Whether anybody on the network could command the printer; pure."""

import ipaddress

from bridge.config import Mqtt


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
