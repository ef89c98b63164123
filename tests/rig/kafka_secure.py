# SPDX-License-Identifier: Apache-2.0
"""A real broker that asks who is there: TLS, client certificates, SASL in all its forms, MSK IAM, and ACLs.

    with SecureBroker(folder) as broker:
        broker.bootstrap                        # plain; who comes here is a super user: for the test's own clients
        broker.at("TLS"), broker.at("MTLS")     # TLS; with a client certificate (its subject is the principal)
        broker.at("EXPIRED"), broker.at("OTHER")  # TLS with a certificate that has ended, or is another host's
        broker.at("SASL")                       # over TLS: PLAIN, SCRAM-SHA-256 and -512, OAUTHBEARER (unsecured JWTs)
        broker.at("MSK")                        # over TLS: OAUTHBEARER with tokens of MSK IAM (MskValidator.java)

Users of PLAIN and SCRAM are known from the start; what each may do is said with allow() and deny().
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, ResourcePatternType,
                                   ResourceType, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion)

from rig import records
from rig.certificates import Authority
from rig.kafka import DEFAULT_VERSION, HERE, HOST, Broker, BrokerError, cache_dir, fetch_jars, free_ports

MODULE = "org.apache.kafka.common.security"
LISTENERS = {"TLS": "SSL", "MTLS": "SSL", "EXPIRED": "SSL", "OTHER": "SSL", "SASL": "SASL_SSL", "MSK": "SASL_SSL"}
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
REGION = "eu-west-1"
REAUTHENTICATE_MS = 3000  # sessions with a token end after it, unless the client says again who it is


def compiled_validator(version):
    """The folder of MskValidator.class, compiled once a user and state of its source."""
    source = HERE / "MskValidator.java"
    target = cache_dir() / f"msk-validator-{version}-{source.stat().st_mtime_ns}"
    if not target.is_dir():
        jars = fetch_jars(version)
        javac = shutil.which("javac", path=f"{os.environ.get('JAVA_HOME', '')}/bin") or shutil.which("javac")
        if javac is None:
            raise BrokerError("javac is not here: run tests/rig/install test")
        with tempfile.TemporaryDirectory(dir=target.parent) as work:
            done = subprocess.run([javac, "-d", f"{work}/classes", "-cp", f"{jars}/*", str(source)],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, check=False)
            if done.returncode != 0:
                raise BrokerError(f"MskValidator.java does not compile:\n{done.stdout[-4000:]}")
            with contextlib.suppress(OSError):  # another run was quicker
                os.rename(f"{work}/classes", target)
    return target


class SecureBroker(Broker):
    """users: {name: password}, each known to PLAIN and both SCRAMs. supers: of them, those without bounds."""

    def __init__(self, folder, version=DEFAULT_VERSION, users=None, supers=(), **options):
        self.users = dict(users or {})
        scram = [(mechanism, user, password) for user, password in self.users.items()
                 for mechanism in MECHANISMS if mechanism != "PLAIN"]
        super().__init__(version=version, scram=scram, **options)
        self.folder = pathlib.Path(folder)
        self.ports = dict(zip(LISTENERS, free_ports(len(LISTENERS))))
        self.authority = Authority(self.folder)
        self.stranger = Authority(self.folder, "other-ca")
        self.iam_path = self.folder / "iam.txt"
        self.set_iam()
        self.supers = ["User:ANONYMOUS", "User:CN=client", "User:jwt-subject", "User:msk-role",
                       *(f"User:{name}" for name in supers)]

    def at(self, listener):
        return f"{HOST}:{self.ports[listener]}"

    def set_iam(self, *identities):
        """Whom MSK knows from now on: (access key id, secret, session token or "", end in ms, principal)."""
        lines = "".join(f"{key} {secret} {token or '-'} {end} {name}\n" for key, secret, token, end, name in identities)
        beside = self.iam_path.with_suffix(".new")
        beside.write_text(lines)
        beside.rename(self.iam_path)

    def java_command(self, *arguments):
        command = super().java_command(*arguments)
        at = command.index("-cp") + 1
        command[at] += f"{os.pathsep}{compiled_validator(self.version)}"
        return command

    def write_properties(self):
        client = f"PLAINTEXT://{HOST}:{self.port}," + ",".join(
            f"{name}://{HOST}:{port}" for name, port in self.ports.items())
        protocols = ",".join(f"{name}:{protocol}" for name, protocol in LISTENERS.items())
        self.properties = {
            "listeners": f"{client},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": client,
            "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,{protocols}",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": ";".join(self.supers),
            "sasl.enabled.mechanisms": ",".join((*MECHANISMS, "OAUTHBEARER")),
        } | self.tls_properties() | self.login_properties() | self.properties
        super().write_properties()

    def tls_properties(self):
        good = self.authority.issue("broker", (HOST, "localhost"))[2]
        keys = {name: good for name in LISTENERS}
        keys["EXPIRED"] = self.authority.issue("expired", (HOST, "localhost"), expired=True)[2]
        keys["OTHER"] = self.authority.issue("other", ("other.example",))[2]
        lines = {}
        for name, key in keys.items():
            prefix = f"listener.name.{name.lower()}"
            lines |= {f"{prefix}.ssl.keystore.type": "PEM", f"{prefix}.ssl.keystore.location": str(key),
                      f"{prefix}.ssl.truststore.type": "PEM",
                      f"{prefix}.ssl.truststore.location": str(self.authority.ca_file),
                      f"{prefix}.ssl.client.auth": "required" if name == "MTLS" else "none"}
        return lines

    def login_properties(self):
        sasl, msk = "listener.name.sasl", "listener.name.msk"
        users = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        # Kafka's own module wants to be able to log in itself, too.
        bearer = f'{MODULE}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker"'
        scram = f"{MODULE}.scram.ScramLoginModule required;"
        return {
            f"{sasl}.plain.sasl.jaas.config": f"{MODULE}.plain.PlainLoginModule required {users};",
            f"{sasl}.scram-sha-256.sasl.jaas.config": scram,
            f"{sasl}.scram-sha-512.sasl.jaas.config": scram,
            f"{sasl}.oauthbearer.sasl.jaas.config": f"{bearer};",
            f"{sasl}.oauthbearer.connections.max.reauth.ms": str(REAUTHENTICATE_MS),
            f"{msk}.sasl.enabled.mechanisms": "OAUTHBEARER",
            f"{msk}.oauthbearer.sasl.jaas.config": f'{bearer} identities="{self.iam_path}" region="{REGION}";',
            f"{msk}.oauthbearer.sasl.server.callback.handler.class": "MskValidator",
            f"{msk}.oauthbearer.connections.max.reauth.ms": str(REAUTHENTICATE_MS),
        }

    def set_password(self, user, password, mechanism=ScramMechanism.SCRAM_SHA_512):
        """Of SCRAM, from now on."""
        change = UserScramCredentialUpsertion(user, ScramCredentialInfo(mechanism, 4096), password.encode())
        records.settle(records.admin(self.bootstrap), "alter_user_scram_credentials", [change])

    def allow(self, principal, *rules):
        """rules: (operation, resource type, name); a name that ends in "*" stands for all that begin so."""
        records.settle(records.admin(self.bootstrap), "create_acls", [binding(principal, rule) for rule in rules])
        for rule in rules:
            records.wait_until(lambda one=rule: self.has_rule(principal, one), f"{rule} of {principal}")

    def take_away(self, principal, rule):
        """Remove one rule that was allowed."""
        removed = records.settle(records.admin(self.bootstrap), "delete_acls", [filter_of(principal, rule)])
        if [len(found) for found in removed.values()] != [1]:
            raise BrokerError(f"{rule} of {principal} was not there")
        records.wait_until(lambda: not self.has_rule(principal, rule), f"{rule} of {principal} to go")

    def has_rule(self, principal, rule):
        """As the broker sees it, which learns of it a moment after it was made."""
        client = records.admin(self.bootstrap)  # has to live until it is answered
        return bool(client.describe_acls(filter_of(principal, rule)).result(30))


def filter_of(principal, rule):
    one = binding(principal, rule)
    return AclBindingFilter(one.restype, one.name, one.resource_pattern_type, one.principal, one.host, one.operation,
                            one.permission_type)


def binding(principal, rule):
    operation, kind, name = rule
    pattern = ResourcePatternType.PREFIXED if name.endswith("*") and name != "*" else ResourcePatternType.LITERAL
    resource = {"cluster": ResourceType.BROKER, "topic": ResourceType.TOPIC, "group": ResourceType.GROUP,
                "transactional-id": ResourceType.TRANSACTIONAL_ID}[kind]
    return AclBinding(resource, name.rstrip("*") if pattern == ResourcePatternType.PREFIXED else name, pattern,
                      f"User:{principal}", "*", getattr(AclOperation, operation.upper()), AclPermissionType.ALLOW)
