"""TLS: the server's certificate and key, and warnings about them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mnemos.errors import InvalidInput

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # for TLS 1.2; every cipher of 1.3 is acceptable
WARN_DAYS = 14  # warn at startup when the certificate expires within this many days
EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
NOT_YET = 9  # X509_V_ERR_CERT_NOT_YET_VALID


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, as PEM files."""

    cert: Path
    key: Path

    def load(self, context: ssl.SSLContext) -> None:
        """Load the pair into a context. If the context is in use, new connections get the pair. Raises InvalidInput."""
        for path, what in ((self.cert, "certificate"), (self.key, "key")):
            try:
                path.read_bytes()
            except OSError as error:
                raise InvalidInput(f"the TLS {what} {path} cannot be read ({error.strerror}).") from error

        def encrypted() -> str:
            raise InvalidInput(
                f"the TLS key {self.key} is encrypted. Use an unencrypted key that only the server can read."
            )

        try:
            context.load_cert_chain(self.cert, self.key, encrypted)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise InvalidInput(f"the TLS key {self.key} does not belong to the certificate {self.cert}.") from error
            why = (error.reason or "not PEM").replace("_", " ").lower()
            raise InvalidInput(f"{self.cert} and {self.key} are not a certificate and a key in PEM ({why}).") from error

    def context(self) -> ssl.SSLContext:
        """Return a server context: TLS 1.2 and 1.3, ciphers with forward secrecy. Raises InvalidInput."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        self.load(context)
        return context

    def warning(self, now: datetime | None = None) -> str | None:
        """Return a warning if the certificate has expired, is not valid yet, or expires soon; else None."""
        code, until = _inspect(self.context(), self.cert)
        if code in (EXPIRED, NOT_YET):
            state = "has expired" if code == EXPIRED else "is not valid yet"
            return f"the TLS certificate {self.cert} {state}: clients will refuse it. Renew it, then restart or send SIGHUP."
        if until is not None and (left := (until - (now or datetime.now(UTC))).days) < WARN_DAYS:
            return f"the TLS certificate {self.cert} expires in {left} days. Renew it, then restart or send SIGHUP."
        return None


def _inspect(server: ssl.SSLContext, cert: Path) -> tuple[int, datetime | None]:
    """Return the verdict of a client that trusts only this certificate, and when it expires, by a handshake in memory."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trusting.load_verify_locations(cert)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    try:
        for _ in range(4):  # more rounds than a handshake takes
            for side in (client, other):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLCertVerificationError as error:
        return error.verify_code, None
    except ssl.SSLError:
        return 0, None  # another fault of the handshake, which clients will report
    end = (client.getpeercert() or {}).get("notAfter")
    return 0, datetime.fromtimestamp(ssl.cert_time_to_seconds(str(end)), UTC) if end else None
