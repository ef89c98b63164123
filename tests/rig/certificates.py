# SPDX-License-Identifier: Apache-2.0
"""Authorities and certificates made when a test needs them, as PEM files."""

import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def name_of(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def general_name(text):
    if "://" in text:
        return x509.UniformResourceIdentifier(text)
    return x509.IPAddress(ipaddress.ip_address(text)) if text[0].isdigit() else x509.DNSName(text)


def key_pem(key):
    """PKCS #8: what Kafka and OpenSSL both read."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


class Authority:
    """Signs certificates; its own lies at ca_file. Everything goes into `folder`."""

    def __init__(self, folder, name="test-ca"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self.sign(name, self.key.public_key(), is_authority=True)
        self.ca_file = self.folder / f"{name}.pem"
        self.ca_file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, common_name, public_key, hosts=(), expired=False, is_authority=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        begin, end = (now - 3 * DAY, now - DAY) if expired else (now - DAY, now + 30 * DAY)
        builder = (x509.CertificateBuilder().subject_name(name_of(common_name)).issuer_name(name_of(self.name))
                   .public_key(public_key).serial_number(x509.random_serial_number())
                   .not_valid_before(begin).not_valid_after(end)
                   .add_extension(x509.BasicConstraints(is_authority, None), critical=True))
        names = [general_name(host) for host in hosts]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, common_name, hosts=(), expired=False):
        """(certificate file, key file, file with both) of somebody new."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.sign(common_name, key.public_key(), hosts, expired)
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        files = [self.folder / f"{common_name}.{kind}.pem" for kind in ("cert", "key", "both")]
        for path, content in zip(files, (pem, key_pem(key), key_pem(key) + pem)):
            path.touch(mode=0o600)
            path.write_bytes(content)
        return files
