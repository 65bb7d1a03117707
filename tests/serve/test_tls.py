"""TLS: faults of a certificate are reported at startup, and clients verify the server."""

import signal
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")
x509 = pytest.importorskip("cryptography.x509", reason="makes the certificates of these tests")

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mnemos.cli import app
from mnemos.errors import InvalidInput
from mnemos.serve.client import Client, Unreachable
from mnemos.serve.tls import KeyPair

NOW = datetime.now(UTC)
PLAIN = serialization.NoEncryption()


def make(folder, name="localhost", days=90, begins=-1, password=None, issuer=None):
    """Write a certificate and its key; without an issuer, (certificate, key), it signs itself and may sign others."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder(subject if issuer is None else issuer[0].subject, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=begins))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )  # fmt: skip
    cert = builder.sign(key if issuer is None else issuer[1], hashes.SHA256())
    lock = PLAIN if password is None else serialization.BestAvailableEncryption(password)
    pair = KeyPair(folder / f"{name}-cert.pem", folder / f"{name}-key.pem")
    pair.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))
    return pair, (cert, key)


def serve(*arguments, code=1):
    result = CliRunner().invoke(app, ["serve", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.stderr


def test_a_client_that_trusts_the_authority_is_served_and_others_are_not(start, tmp_path):
    authority, issuer = make(tmp_path, "authority")
    pair, _ = make(tmp_path, "localhost", issuer=issuer)
    server = start("--tls-cert", pair.cert, "--tls-key", pair.key)
    url = server.url.replace("127.0.0.1", "localhost")
    assert url.startswith("https://")
    with Client(url, server.key, verify=ssl.create_default_context(cafile=authority.cert)) as memory:
        memory.space("ana").add("I moved to Faro.")
        assert [hit.cube.text for hit in memory.space("ana").search("Faro")] == ["I moved to Faro."]
    with Client(url, server.key) as stranger, pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        stranger.spaces()
    old = ssl.create_default_context(cafile=authority.cert)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("AES256-GCM-SHA384")  # RSA key exchange: what is recorded today could be read one day
    with Client(url, server.key, verify=old) as weak, pytest.raises(Unreachable):
        weak.spaces()
    with Client(url.replace("https", "http"), server.key) as bare, pytest.raises(Unreachable):
        bare.spaces()
    assert "Traceback" not in server.log
    assert server.end() == 0


def test_a_renewed_certificate_is_read_at_a_signal(start, tmp_path):
    pair, _ = make(tmp_path, days=30)
    server = start("--tls-cert", pair.cert, "--tls-key", pair.key)
    url = server.url.replace("127.0.0.1", "localhost")
    pair.key.write_text("broken")
    server.process.send_signal(signal.SIGHUP)
    server.line("was not reloaded")
    make(tmp_path, days=60)
    server.process.send_signal(signal.SIGHUP)
    server.line("was reloaded")
    with Client(url, server.key, verify=ssl.create_default_context(cafile=pair.cert)) as memory:
        assert memory.spaces() == []


def test_a_missing_file_an_unreadable_one_and_one_that_is_no_pem_are_told(tmp_path):
    pair, _ = make(tmp_path)
    rest = ("--root", tmp_path / "root")
    assert f"{tmp_path}/none.pem cannot be read (No such file" in serve(
        "--tls-cert", tmp_path / "none.pem", "--tls-key", pair.key, *rest
    )
    assert "key" in serve("--tls-cert", pair.cert, "--tls-key", tmp_path / "none.pem", *rest)
    assert "Is a directory" in serve("--tls-cert", tmp_path, "--tls-key", pair.key, *rest)
    (tmp_path / "text.pem").write_text("hello")
    assert "not a certificate and a key in PEM" in serve(
        "--tls-cert", tmp_path / "text.pem", "--tls-key", pair.key, *rest
    )
    assert "needs both a certificate" in serve("--tls-cert", pair.cert, *rest)
    assert "needs both a certificate" in serve("--tls-key", pair.key, *rest)


def test_the_key_of_another_certificate_and_an_encrypted_one_are_told(tmp_path):
    pair, _ = make(tmp_path, "localhost")
    other, _ = make(tmp_path, "other")
    rest = ("--root", tmp_path / "root")
    assert "does not belong to the certificate" in serve("--tls-cert", pair.cert, "--tls-key", other.key, *rest)
    locked, _ = make(tmp_path, "locked", password=b"secret")
    assert "is encrypted" in serve("--tls-cert", locked.cert, "--tls-key", locked.key, *rest)


@pytest.mark.parametrize(
    ("begins", "days", "told"),
    [(-9, -1, "has expired"), (2, 9, "is not valid yet"), (-1, 5, "expires in 4 days"), (-1, 90, None)],
)
def test_a_certificate_that_is_over_or_nearly_is_warned_of(tmp_path, begins, days, told):
    _, issuer = make(tmp_path, "authority")
    for by in (None, issuer):
        pair, _ = make(tmp_path, begins=begins, days=days, issuer=by)
        warning = pair.warning(NOW)
        assert (warning is None) if told is None else (told in warning and str(pair.cert) in warning)


def test_an_expired_certificate_is_in_the_log(start, tmp_path):
    pair, _ = make(tmp_path, begins=-9, days=-1)
    server = start("--tls-cert", pair.cert, "--tls-key", pair.key)
    assert "has expired: clients will refuse it" in server.line("expired")


def test_old_protocols_are_not_spoken(tmp_path):
    context = make(tmp_path)[0].context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    names = [cipher["name"] for cipher in context.get_ciphers()]
    assert all(name.startswith(("TLS_", "ECDHE-")) for name in names)
    with pytest.raises(InvalidInput):
        KeyPair(tmp_path / "no", tmp_path / "no").context()


def test_without_tls_allow_remote_tells_of_it(tmp_path):
    pair, _ = make(tmp_path)
    rest = ("--host", "192.0.2.1", "--root", tmp_path / "root")
    assert "--tls-cert" in serve(*rest)
    with_tls = serve(*rest, "--tls-cert", pair.cert, "--tls-key", pair.key)
    assert "--allow-remote" in with_tls
    assert "as they are" not in with_tls
