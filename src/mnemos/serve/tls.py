"""TLS of the server: the context of a certificate and its key, and what is wrong with them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mnemos.errors import InvalidInput

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all good
SOON = 14  # days before the end of a certificate from which on a start warns
EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
NOT_YET = 9  # X509_V_ERR_CERT_NOT_YET_VALID


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, as files in PEM."""

    cert: Path
    key: Path

    def load(self, context: ssl.SSLContext) -> None:
        """Put the pair into a context, also into one in use: new connections then get it. Raises InvalidInput."""
        for path, what in ((self.cert, "certificate"), (self.key, "key")):
            try:
                path.read_bytes()
            except OSError as error:
                raise InvalidInput(f"the TLS {what} {path} cannot be read ({error.strerror}).") from error

        def encrypted() -> str:
            raise InvalidInput(
                f"the TLS key {self.key} is encrypted. Give one that is not, readable by the server only."
            )

        try:
            context.load_cert_chain(self.cert, self.key, encrypted)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise InvalidInput(f"the TLS key {self.key} is not the key of the certificate {self.cert}.") from error
            why = (error.reason or "no PEM").replace("_", " ").lower()
            raise InvalidInput(f"{self.cert} and {self.key} are no certificate and key in PEM ({why}).") from error

    def context(self) -> ssl.SSLContext:
        """Return the context of a server: TLS 1.2 and 1.3, with ciphers that keep the past secret. Raises InvalidInput."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        self.load(context)
        return context

    def warning(self, now: datetime | None = None) -> str | None:
        """Return what a start is to warn of: a certificate that is over, not yet valid, or soon over."""
        code, until = _look(self.context(), self.cert)
        if code in (EXPIRED, NOT_YET):
            word = "has expired" if code == EXPIRED else "is not valid yet"
            return f"the TLS certificate {self.cert} {word}: clients will refuse it. Renew it, then restart or send SIGHUP."
        if until is not None and (left := (until - (now or datetime.now(UTC))).days) < SOON:
            return f"the TLS certificate {self.cert} expires in {left} days. Renew it, then restart or send SIGHUP."
        return None


def _look(server: ssl.SSLContext, cert: Path) -> tuple[int, datetime | None]:
    """Shake hands in memory with a client that trusts this certificate alone: its verdict, and the certificate's end."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trusting.load_verify_locations(cert)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    try:
        for _ in range(4):  # a handshake takes fewer turns
            for side in (client, other):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLCertVerificationError as error:
        return error.verify_code, None
    except ssl.SSLError:
        return 0, None  # clients will tell more
    end = (client.getpeercert() or {}).get("notAfter")
    return 0, datetime.fromtimestamp(ssl.cert_time_to_seconds(str(end)), UTC) if end else None
