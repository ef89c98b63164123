#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An independent reader of a vault, written from docs/format.md alone: opens it with a key file or a passphrase, folds
the log, and prints every record of a recovery point, or of all that is stored, as JSON lines.

    reader.py VAULT --key-file FILE [--point rp_...|latest] [--policy NAME] [--topic NAME]
    reader.py VAULT --passphrase-file FILE --list

It reads whole objects and checks all that format.md lets a reader check. Every broken rule is a Broken."""

import argparse
import base64
import hashlib
import json
import pathlib
import struct
import sys
from typing import NamedTuple, Optional

import zstandard
from nacl import bindings as sodium
from nacl.exceptions import CryptoError

SOLO, ELSEWHERE, HAS_ID, LOG_APPEND, MIXED = 1, 2, 4, 8, 16
REASONS = {1: "no-records", 2: "source-retention", 3: "source-delete", 4: "unknown", 5: "skipped", 6: "lost-in-vault",
           7: "corrupt-on-broker"}
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MEBI = 1 << 20


class Broken(Exception):
    """The vault is not what docs/format.md says."""


def need(condition, *words):
    if not condition:
        raise Broken(" ".join(str(word) for word in words))


class Record(NamedTuple):
    cluster_id: str
    topic: str
    incarnation: int
    partition: int
    offset: int
    timestamp: int
    timestamp_type: str  # "create", "append"; "none" where the timestamp is -1
    key: Optional[bytes]
    value: Optional[bytes]
    headers: tuple  # of (name as bytes, value or None)


class Folder:
    """Where objects lie: any pair of get(name) and names(prefix) does."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def get(self, name):
        return (self.path / name).read_bytes()

    def names(self, prefix):
        found = (path for path in (self.path / prefix).rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.path)) for path in found)


class Cursor:
    """The conventions of format.md over bytes; all of them must be used up."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        need(length <= len(self.data) - self.at, "cut off")
        self.at += length
        return self.data[self.at - length:self.at]

    def unpack(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))

    def v(self):
        value, start = 0, self.at
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << 7 * (self.at - start - 1)
            if byte < 128:
                break
            need(self.at - start < 10, "number too long")
        need(value < 1 << 64 and (byte != 0 or self.at - start == 1), "number not in its shortest form")
        return value

    def z(self):
        value = self.v()
        return value >> 1 ^ -(value & 1)

    def str(self):
        length = self.v()
        need(length <= 65535, "string too long")
        return self.take(length).decode("utf-8", "surrogateescape")

    def null_or(self):
        length = self.v()
        return None if length == 0 else self.take(length - 1)

    def rows(self, row):
        count = self.v()
        need(count <= len(self.data) - self.at, "more rows than bytes")
        return [row() for _ in range(count)]

    def hash(self):
        return self.take(32)

    def end(self):
        need(self.at == len(self.data), "bytes left over")


def rows_of(*readers):
    return tuple(reader() for reader in readers)


def unzstd(data, limit):
    need(0 <= zstandard.frame_content_size(data) <= limit, "zstd frame without size, or too large")
    tool = zstandard.ZstdDecompressor(max_window_size=8 * MEBI)
    return tool.decompress(data, allow_extra_data=False)


def unseal(key, nonce, aad, sealed, what):
    try:
        return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, aad, nonce, key)
    except CryptoError:
        raise Broken(f"{what}: does not open") from None


def signed(value):
    """Timestamps differ modulo 2^64."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def rp_name(ulid):
    number = int.from_bytes(ulid, "big")
    return "rp_" + "".join(CROCKFORD[number >> 5 * place & 31] for place in reversed(range(26)))


class Ring:
    """Key slots, and the keys of each epoch."""

    def __init__(self, store, key_file=None, passphrase=None):
        names = store.names("key/")
        need(names, "no key slot")
        best = (-1, False), None, None
        for name in names[:32]:
            slot = store.get(name)
            opened = self.open_slot(slot, key_file, passphrase, name)
            if opened is not None:  # the ring with the most epochs, then one with secret keys
                best = max(best, ((len(opened), slot[7] == 1), slot[8:24], opened))
        need(best[2], "no key slot of", len(names), "opens with this key")
        (_, self.full), self.vault, ring = best
        self.parse(ring)

    def open_slot(self, slot, key_file, passphrase, name):
        magic, version, kdf, ring, vault, salt, ops, mem, nonce, length = struct.unpack("<4sHBB16s16sQQ24sI", slot[:84])
        need(magic == b"TMVK" and version == 1 and kdf in (1, 2) and ring in (1, 2), name, "no key slot of version 1")
        need(length <= 65536 and len(slot) == 84 + length, name, "wrong length")
        if kdf == 1 and passphrase is not None:
            need(1 <= ops <= 16 and 8192 <= mem <= 1 << 30, name, "unreasonable cost")
            phrase = passphrase[:-1] if passphrase.endswith(b"\n") else passphrase
            kek = sodium.crypto_pwhash_alg(32, phrase, salt, ops, mem, sodium.crypto_pwhash_ALG_ARGON2ID13)
        elif kdf == 2 and key_file is not None:
            kek = hashlib.blake2b(salt, key=key_file, digest_size=32).digest()
        else:
            return None
        try:
            opened = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(slot[84:], slot[:84], nonce, kek)
        except CryptoError:
            return None
        return opened

    def parse(self, data):
        cursor = Cursor(data)
        self.epochs = {}
        for _ in range(cursor.unpack("H")[0]):
            epoch, _created, root, public, secret = cursor.unpack("Iq32s32s32s")
            need(epoch > max(self.epochs, default=-1), "epochs not in order")
            self.epochs[epoch] = (root, public, secret)
        cursor.end()

    def subkey(self, epoch, number):
        """crypto_kdf_derive_from_key: BLAKE2b of nothing, by salt and personalisation."""
        need(epoch in self.epochs, "epoch", epoch, "is not in the ring")
        return hashlib.blake2b(b"", key=self.epochs[epoch][0], digest_size=16 if number == 4 else 32,
                               salt=struct.pack("<QQ", number, 0), person=b"tmvault1" + bytes(8)).digest()

    def data_key(self, epoch, sealed):
        need(self.full, "a writer's key reads no records")
        _, public, secret = self.epochs[epoch]
        random = sodium.crypto_box_seal_open(sealed, public, secret)
        return hashlib.blake2b(random, key=self.subkey(epoch, 5), digest_size=32).digest()


class Pack:
    """A pack object: keys, index, frames."""

    def __init__(self, vault, name):
        self.vault, self.name = vault, name
        self.data = vault.store.get(f"pack/{name.hex()[:2]}/{name.hex()}")
        need(hashlib.sha256(self.data).digest() == name, "pack", name.hex(), "has another SHA-256 than its name")
        magic, version, flags, vault_id, keys = struct.unpack("<4sHH16sI", self.data[:28])
        need(magic == b"TMVP" and version == 1 and flags == 0 and vault_id == vault.ring.vault, "pack header")
        need(1 <= keys <= 65535, "number of data keys")
        self.header = self.data[:28 + 84 * keys]
        self.keys = [struct.unpack("<I80s", self.header[at:at + 84]) for at in range(28, len(self.header), 84)]
        self.opened, self.last = {}, (None, None)
        epoch, length, magic = struct.unpack("<II4s", self.data[-12:])
        self.frames_end = len(self.data) - 12 - length
        need(magic == b"TMVE" and self.frames_end >= len(self.header), "pack footer")
        index = self.data[self.frames_end:-12]
        plain = unseal(vault.ring.subkey(epoch, 2), index[:24], self.header, index[24:], "pack index")
        cursor = Cursor(unzstd(plain, 256 * MEBI))
        self.streams = {row[0]: row[1:] for row in cursor.rows(
            lambda: rows_of(cursor.v, cursor.str, cursor.str, cursor.v))}
        self.deps = cursor.rows(cursor.hash)
        self.blocks = cursor.rows(lambda: self.block(cursor))
        cursor.end()

    def block(self, cursor):
        flags = cursor.v()
        need(flags < 32 and flags & 24 != 24 and flags & 17 != 17, "block flags", flags)
        runs = cursor.rows(lambda: rows_of(*[cursor.v] * 7, cursor.z, cursor.v, lambda: cursor.take(16)))
        need(len({run[0] for run in runs}) == 1 and (len(runs) == 1 or not flags & 7), "runs of a block")
        positions = rows_of(*[cursor.v] * 6)
        content = cursor.v() if flags & ELSEWHERE else rows_of(*[cursor.v] * 6)
        return flags, runs, positions, content, cursor.hash() if flags & 6 else None

    def frame(self, frame, kind):
        number, counter, offset, stored, codec, raw = frame
        need(len(self.header) <= offset and offset + stored <= self.frames_end and codec < 2, "frame out of place")
        epoch, sealed = self.keys[number]
        if number not in self.opened:
            self.opened[number] = self.vault.ring.data_key(epoch, sealed)
        opened = unseal(self.opened[number], struct.pack("<QQQ", counter, 0, 0), self.vault.ring.vault + kind,
                        self.data[offset:offset + stored], "frame")
        opened = unzstd(opened, raw) if codec else opened
        need(len(opened) == raw, "frame of another length")
        return opened

    def content(self, block):
        """The C frame, wherever it lies."""
        flags, _, _, content, content_id = block
        if not flags & ELSEWHERE:
            return self.frame(content, b"C")
        for pack in [self] if content == 0 else self.vault.resolve(self.deps[content - 1]):
            for other in pack.blocks:
                if other[0] & (HAS_ID | ELSEWHERE) == HAS_ID and other[4] == content_id:
                    return pack.frame(other[3], b"C")
        raise Broken(f"content {content_id.hex()} of pack {self.name.hex()} is nowhere")

    def records(self, block):
        """A list of records for each run of a block; many partitions may ask for it one after the other."""
        if self.last[0] is not block:
            self.last = block, list(self.checked(block))
        return self.last[1]

    def checked(self, block):
        """The records of each run, checked against its index row."""
        flags, runs, positions, _, content_id = block
        epoch = self.keys[positions[0]][0]
        key_id, key_rec = self.vault.ring.subkey(epoch, 3), self.vault.ring.subkey(epoch, 4)
        content = self.content(block)
        tags = []
        found = list(self.parse(block, Cursor(self.frame(positions, b"P")), content))
        for run, group in zip(runs, found):
            _, partition, first, length, count, size, largest, tsmin, spread, proof = run
            times = [one[1] for one in group]
            canonical = [one[-1] for one in group]
            need(len(group) == count and first <= group[0][0] and group[-1][0] < first + length, "offsets of a run")
            need(min(times) == tsmin and max(times) == tsmin + spread, "timestamps of a run")
            need(sum(map(len, canonical)) == size and max(map(len, canonical)) == largest, "bytes of a run")
            mine = [sodium.crypto_shorthash_siphashx24(one, key_rec) for one in canonical]
            tags += mine
            proved = b"".join(struct.pack("<q", when) + tag for when, tag in zip(times, mine))
            need(hashlib.blake2b(proved, key=key_id, digest_size=16).digest() == proof, "content proof")
            yield [Record(*self.streams[run[0]], partition, *one[:-1]) for one in group]
        if flags & 6:
            message = b"s" + sodium.crypto_shorthash_siphashx24(content, key_rec) if flags & SOLO else b"".join(tags)
            need(hashlib.blake2b(message, key=key_id, digest_size=32).digest() == content_id, "content id")

    def parse(self, block, place, content):
        flags, runs, _, _, _ = block
        rows = place if flags & SOLO else Cursor(content)
        for run in runs:
            _, _, first, _, count, _, _, tsmin, *_ = run
            offsets, times, offset, when = [], [], first - 1, tsmin
            for number in range(count):
                offset += place.v() + 1
                offsets.append(offset)
            for number in range(count):
                when = signed(when + place.z())
                times.append(when)
            append = place.take((count + 7) // 8) if flags & MIXED else bytes([flags & LOG_APPEND and 255]) * (count + 7)
            kinds = ["none" if times[i] == -1 else ["create", "append"][append[i // 8] >> i % 8 & 1] for i in range(count)]
            group = []
            for offset, when, kind in zip(offsets, times, kinds):
                start = rows.at
                headers = tuple(rows.rows(lambda: (rows.take(rows.v()), rows.null_or())))
                key = rows.null_or()
                value = content if flags & SOLO else rows.null_or()
                canonical = rows.data[start:rows.at]
                if flags & SOLO:
                    canonical += varint(len(value) + 1) + value
                group.append((offset, when, kind, key, value, headers, canonical))
            yield group
        place.end()
        rows.end()


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


class Vault:
    """A vault, folded: streams, points, packs, moved, gaps, tails."""

    def __init__(self, store, key_file=None, passphrase=None):
        self.store = store
        self.ring = Ring(store, key_file, passphrase)
        self.streams, self.points, self.packs, self.moved, self.gaps, self.tails = {}, {}, {}, {}, [], {}
        self.cache, self.written = {}, []  # written: (writer, policy) of each entry
        numbers = [int(name[4:], 16) for name in store.names("log/")]
        need(numbers, "no log")
        self.head = max(numbers)
        back, _, _ = self.entry(self.head)
        previous = None
        for seq in range(self.head - back, self.head + 1):
            _, prev, name = self.entry(seq, fold=True)
            need(previous in (None, prev), "log entry", seq, "does not follow the one before it")
            previous = name
        self.head_hash = previous

    def entry(self, seq, fold=False):
        data = self.store.get(f"log/{seq:016x}")
        magic, version, kind, zero, vault, epoch, back, number, prev, nonce = struct.unpack("<4sHBB16sIIQ32s24s", data[:96])
        need(magic == b"TMVL" and version == 1 and kind in (1, 2) and zero == 0, "log entry", seq, "has another header")
        need(vault == self.ring.vault and number == seq and (back == 0) == (kind == 2), "log entry", seq, "is misplaced")
        plain = unseal(self.ring.subkey(epoch, 1), nonce, data[:96], data[96:], f"log entry {seq}")
        if fold:
            self.fold(Cursor(unzstd(plain, 256 * MEBI)), kind == 2)
        return back, prev, hashlib.sha256(data).digest()

    def fold(self, c, full):
        rows, v, z, text, name = c.rows, c.v, c.z, c.str, c.hash
        self.written.append((z(), text(), text())[1:])
        if full:
            need(name() == hashlib.sha256(c.data[c.at:]).digest(), "state_hash")
        rows(lambda: (text(), text()))
        for row in rows(lambda: (v(), text(), text(), v(), c.take(16), z())):
            self.streams[row[0]] = row[1:4]
        rows(lambda: (v(), text(), v()))
        for point in rows(lambda: self.point(c)):
            self.points[point["id"]] = point
        for number in rows(v):
            self.remove_point(number)
        rows(lambda: (v(), text(), rows(text), z(), text()))
        for row in rows(lambda: (name(), v(), z(), rows(name), rows(lambda: rows_of(*[v] * 7, z, v)))):
            self.packs[row[0]] = row[1:]
        for gone, successors in rows(lambda: (name(), rows(name))):
            del self.packs[gone]
            if successors:
                self.moved[gone] = successors
        rows(name)
        self.gaps += rows(lambda: (v(), v(), v(), v(), REASONS[v()]))
        for row in rows(lambda: self.tail(c)):
            self.tails[row[:2]] = row[2:]
        if full:
            rows(lambda: (name(), z()))
            self.moved |= dict(rows(lambda: (name(), rows(name))))
            rows(lambda: (name(), z()))
            rows(lambda: (text(), text(), text(), z()))
        c.end()

    def tail(self, c):
        row = rows_of(*[c.v] * 5)
        return row + (rows_of(c.v, c.z, lambda: c.take(16)) if row[4] else ())

    def point(self, c):
        v, z, text, rows = c.v, c.z, c.str, c.rows
        point = {"id": v(), "name": rp_name(c.take(16)), "time": z(), "cluster_id": text(), "cluster": text(),
                 "policy": text(), "flags": v(), "gone": set(rows(v))}
        point["topics"] = {(row[0],): row[1:] for row in rows(lambda: (v(), v(), v(), rows(lambda: (text(), text()))))}
        parts = rows(lambda: (v(), v(), v(), v(), z(), z(), v()))
        point["parts"] = {(s, p): (start, start + more, start + more + lso, start + more + high, status)
                          for s, p, start, more, lso, high, status in parts}
        point["groups"] = {(row[1], row[2], row[0]): row[3:] for row in rows(lambda: (text(), v(), v(), v(), text()))}
        point["acls"] = {(row[0],): row[1:] for row in rows(lambda: (v(), rows(text)))}
        return point

    LISTS = "topics", "parts", "groups", "acls"

    def remove_point(self, number):
        """Its rows pass to the next point of the policy, whose own rows win."""
        old = self.points.pop(number)
        same = [one for one in self.points.values() if one["id"] > number and
                (one["cluster_id"], one["policy"]) == (old["cluster_id"], old["policy"])]
        if same:
            heir = min(same, key=lambda one: one["id"])
            for kind in self.LISTS:
                heir[kind] = {key: row for key, row in old[kind].items() if key[0] not in heir["gone"]} | heir[kind]
            heir["gone"] |= old["gone"]

    def view(self, name="latest", policy=None):
        """A point with all of its rows."""
        chosen = [one for one in self.points.values() if policy in (None, one["policy"]) and name in ("latest", one["name"])]
        need(chosen, "no point", name)
        newest = max(chosen, key=lambda one: one["id"])
        whole = dict(newest) | {kind: {} for kind in self.LISTS}
        for one in sorted(self.points.values(), key=lambda one: one["id"]):
            if one["id"] <= newest["id"] and (one["cluster_id"], one["policy"]) == (newest["cluster_id"], newest["policy"]):
                for kind in self.LISTS:
                    whole[kind] = {key: row for key, row in whole[kind].items() if key[0] not in one["gone"]} | one[kind]
        return whole

    def pack(self, name):
        if name not in self.cache:
            while len(self.cache) >= 4:
                del self.cache[next(iter(self.cache))]
            self.cache[name] = Pack(self, name)
        return self.cache[name]

    def resolve(self, name):
        """The pack, or what it has become, however often it moved."""
        if name in self.packs:
            return [self.pack(name)]
        need(name in self.moved, "pack", name.hex(), "is gone without successor")
        return [pack for successor in self.moved[name] for pack in self.resolve(successor)]

    def stored(self, stream, partition, start=0, end=1 << 63):
        """The records of a stream's partition in [start, end), in the order of their offsets."""
        places = []
        for name, (_, _, _, runs) in self.packs.items():
            places += [(run[2], name) for run in runs
                       if run[:2] == (stream, partition) and run[2] < end and run[2] + run[3] > start]
        last = -1
        for first, name in sorted(places):
            pack = self.pack(name)
            length = next(run[3] for run in self.packs[name][3] if run[:3] == (stream, partition, first))
            # Blocks lie in the order of their frames, and one may hold runs from before and after another's.
            runs = sorted((run[2], number, index) for number, block in enumerate(pack.blocks)
                          for index, run in enumerate(block[1])
                          if run[1] == partition and pack.streams[run[0]] == self.streams[stream])
            for at, number, index in runs:
                for record in pack.records(pack.blocks[number])[index] if first <= at < first + length else ():
                    need(record.offset > last, "record", record.offset, "is there twice, or out of order")
                    last = record.offset
                    if start <= record.offset < end:
                        yield record

    def records(self, point=None, policy=None, topic=None):
        """Of a point, or (point None) all that is stored."""
        if point is None:
            ranges = {key: (0, 1 << 63) for key in self.tails}
        else:
            ranges = {key: row[:2] for key, row in self.view(point, policy)["parts"].items()}
        for (stream, partition), (start, end) in sorted(ranges.items()):
            if topic in (None, self.streams[stream][1]):
                yield from self.stored(stream, partition, start, end)


def shown(record):
    def text(data):
        return None if data is None else base64.b64encode(data).decode()
    row = record._asdict() | {"key": text(record.key), "value": text(record.value)}
    return json.dumps(row | {"headers": [[text(name), text(value)] for name, value in record.headers]})


def main():
    parser = argparse.ArgumentParser(description="Print the records of a vault (base64 in JSON lines).")
    parser.add_argument("vault")
    parser.add_argument("--key-file", type=pathlib.Path)
    parser.add_argument("--passphrase-file", type=pathlib.Path)
    parser.add_argument("--point", help="rp_... or latest; without it, all that is stored")
    parser.add_argument("--policy")
    parser.add_argument("--topic")
    parser.add_argument("--list", action="store_true", help="print the points instead")
    given = parser.parse_args()
    vault = Vault(Folder(given.vault), given.key_file and given.key_file.read_bytes(),
                  given.passphrase_file and given.passphrase_file.read_bytes())
    if given.list:
        for point in vault.points.values():
            print(json.dumps({key: point[key] for key in ("name", "time", "cluster", "policy", "flags")}))
        return
    for record in vault.records(given.point, given.policy, given.topic):
        print(shown(record))


if __name__ == "__main__":
    try:
        main()
    except (Broken, OSError) as error:
        sys.exit(f"reader.py: {error}")
