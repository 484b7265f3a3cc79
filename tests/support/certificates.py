"""Certificates made for one test run."""

import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import trustme


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its chain, and its key; PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Signs certificates."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.certificate = self._ca.cert_pem.bytes()

    def issue(self, *names: str, common_name: str = "", days: float = 1) -> Pair:
        """Return a certificate; with negative days it has expired."""
        ends = datetime.now(UTC) + timedelta(days=days)
        leaf = self._ca.issue_cert(
            *names,
            common_name=common_name or None,
            not_before=ends - timedelta(days=30),
            not_after=ends,
        )
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return Pair(chain, leaf.private_key_pem.bytes())


@functools.cache
def authority() -> Authority:
    """Return the authority that the tests trust."""
    return Authority()


@functools.cache
def stranger() -> Authority:
    """Return one that nobody trusts."""
    return Authority()
