# SPDX-License-Identifier: Apache-2.0
"""Where in the memory of a process some bytes lie: /proc/PID/smaps and mem, as root or as its own user."""

import re

HEAD = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+\s*(.*)$")


def regions(pid):
    """(start, end, permissions, name, VmFlags) of each mapping."""
    current = None
    with open(f"/proc/{pid}/smaps", encoding="ascii") as smaps:
        for line in smaps:
            head = HEAD.match(line)
            if head:
                current = (int(head[1], 16), int(head[2], 16), head[3], head[4])
            elif line.startswith("VmFlags:"):
                yield (*current, line.split()[1:])


def find(pid, needle):
    """[(address, name of the mapping, is it locked?)] of every place where the bytes lie."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, permissions, name, flags in regions(pid):
            if "r" not in permissions or name in ("[vvar]", "[vvar_vclock]", "[vsyscall]"):
                continue
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except OSError:  # a mapping that went, or of a device
                continue
            at = content.find(needle)
            while at >= 0:
                found.append((start + at, name or "anonymous", "lo" in flags))
                at = content.find(needle, at + 1)
    return found
