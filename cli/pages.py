#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Manual pages and bash completion, made from what the programs themselves say, so that they cannot differ.

    cli/pages.py TIDEMARK TIDEMARKD docs/config.md VERSION OUT...

Each OUT is written by its name: tidemark.1, tidemarkd.8, tidemark.yaml.5, tidemark.bash.
"""

import pathlib
import re
import subprocess
import sys

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*|(?<![\w-])-o(?![\w-])")
WORDS = re.compile(r"(--[a-z-]+|-o) ([a-z_]+(?:\|[a-z_]+)+)")
LISTED = re.compile(r"^  (--[a-z-]+) W +([a-z_]+(?: \(default\))?(?:, [a-z_]+)* or [a-z_]+)$", re.M)


def says(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def commands(program):
    """[words, what it does, what its --help says], as `tidemark --help` lists them."""
    listed = re.search(r"^commands:\n(.*?)\n\n", says(program, "--help"), re.S | re.M).group(1)
    found = []
    for line in listed.splitlines():
        words, does = re.match(r"  ((?:[a-z-]+ )?[a-z-]+) +(.*)", line).groups()
        found.append((words, does, says(program, *words.split(), "--help")))
    return found


def options(text):
    """The options that a --help names, but for its examples, and the words that some of them take."""
    text = text.partition("\nexamples:")[0]
    names = sorted(set(OPTION.findall(text)) | {"--help"})
    words = {name: re.split(", | or ", listed.replace(" (default)", "")) for name, listed in LISTED.findall(text)}
    return names, words | {name: listed.split("|") for name, listed in WORDS.findall(text)}


# Manual pages

def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def verbatim(text):
    return [".PP", ".nf", ".RS 2", roff(text.rstrip()), ".RE", ".fi"]


def title(name, section, version, does):
    return [".\\\" SPDX-License-Identifier: Apache-2.0", f'.TH "{name.upper()}" "{section}" "" "Tidemark {version}" "Tidemark"',
            ".ad l", ".nh", ".SH NAME", f"{roff(name)} \\- {does}"]


def exit_status(text):
    status = re.search(r"^exit status:\s*(.*?)(?:\n\n|\Z)", text, re.S | re.M).group(1)
    lines = [".SH EXIT STATUS"]
    for one in " ".join(status.split()).split("; "):
        number, meaning = one.split(" ", 1)
        lines += [".TP", number, roff(meaning)]
    return lines


def page_tidemark(program, version):
    lines = title("tidemark", 1, version, "backups of the data in Apache Kafka: command line")
    lines += [".SH SYNOPSIS", ".B tidemark", roff("COMMAND [OPTION...]"), ".SH DESCRIPTION",
              "Asks the daemon,", ".BR tidemarkd (8),", "or opens a vault by itself where there is none.",
              "Data goes to standard output, talk and progress to standard error.", ".SH COMMANDS"]
    for words, does, text in commands(program):
        lines += [f'.SS "{roff(words)}"', roff(does[0].upper() + does[1:]) + ("" if does.endswith("?") else "."), *verbatim(text)]
    lines += exit_status(says(program, "--help"))
    lines += [".SH ENVIRONMENT", ".TP", "TIDEMARK_CONFIG", "the configuration, where no FILE is given", ".TP",
              "TIDEMARK_CREDENTIALS_DIRECTORY", "where ${credential:NAME} of a configuration is looked up, without systemd",
              ".SH SEE ALSO", ".BR tidemarkd (8),", ".BR tidemark.yaml (5)"]
    return lines


def page_tidemarkd(program, version):
    text = says(program, "--help")
    lines = title("tidemarkd", 8, version, "backups of the data in Apache Kafka: daemon")
    lines += [".SH SYNOPSIS", *verbatim(text.partition("\n\n")[0]), ".SH DESCRIPTION",
              "Runs the policies of its configuration, and answers the control API. Mostly started by systemd, as",
              ".IR tidemarkd.service .", ".SH OPTIONS", *verbatim(text.partition("\n\n")[2].partition("\nexit status:")[0])]
    lines += exit_status(text)
    lines += [".SH SIGNALS", ".TP", "SIGTERM, SIGINT", "No run begins any more, running ones commit what they have and go on at the next start;",
              "a second signal ends the process at once.", ".SH FILES", ".TP", "/etc/tidemark/tidemark.yaml", "the configuration", ".TP",
              "/run/tidemark/api.sock", "the control API", ".TP", "/var/lib/tidemark", "its state", ".SH SEE ALSO", ".BR tidemark (1),",
              ".BR tidemark.yaml (5)"]
    return lines


def plain(text):
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    return roff(text.replace("`", "").replace("**", "").replace("\\|", "|"))


def table(rows):
    """Each row an item: its first cell, and what the others say under their headings."""
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    lines = []
    for row in cells[2:]:
        said = [value if heading in ("Meaning", "") else f"{heading}: {value}."
                for heading, value in zip(cells[0][1:], row[1:]) if value]
        lines += [".TP", plain(row[0]), plain(" ".join(said[-1:] + said[:-1]))]
    return lines


def page_yaml(source, version):
    lines = title("tidemark.yaml", 5, version, "configuration of tidemarkd")
    text = re.sub(r"<!--.*?-->", "", source.read_text(), flags=re.S).partition("\n")[2]
    lines.append(".SH DESCRIPTION")
    for block in re.findall(r"```\w*\n(?:.*\n)*?```|(?:^\|.*\n)+|^#+ .*|(?:^(?!#|```|\|).*\S.*\n)+", text + "\n", re.M):
        lines += markdown(block)
    return lines + [".SH SEE ALSO", ".BR tidemarkd (8),", ".BR tidemark (1)"]


def markdown(block):
    if block.startswith("```"):
        return verbatim("\n".join(block.splitlines()[1:-1]))
    if block.startswith("|"):
        return table(block.strip().splitlines())
    if block.startswith("#"):
        level, _, text = block.partition(" ")
        return [f'{".SH" if level == "##" else ".SS"} "{plain(text.upper() if level == "##" else text)}"']
    if block.startswith("- "):
        lines = []
        for item in re.split(r"^- ", block, flags=re.M)[1:]:
            lines += [".IP \\(bu 2", plain(" ".join(item.split()))]
        return lines
    return [".PP", plain(" ".join(block.split()))]


# Completions

def completion_cases(program, line):
    """For each command a line of its options, and one for each option that takes certain words."""
    for words, _, text in commands(program):
        names, choices = options(text)
        for name, values in choices.items():
            yield line(f"{words} {name}", values)
        yield line(words, names)


def page_bash(program, _version):
    firsts = sorted({words.split()[0] for words, *_ in commands(program)})
    seconds = {}
    for words, *_ in commands(program):
        first, _, second = words.partition(" ")
        if second:
            seconds.setdefault(first, []).append(second)
    lines = ["# SPDX-License-Identifier: Apache-2.0", "# bash completion for tidemark; made by cli/pages.py", "_tidemark_words() {",
             '    case "$1" in']
    lines += completion_cases(program, lambda what, words: f'        "{what}") echo "{" ".join(words)}" ;;')
    lines += ["    esac", "}", "_tidemark_second() {", '    case "$1" in']
    lines += [f'        {first}) echo "{" ".join(sorted(names))}" ;;' for first, names in sorted(seconds.items())]
    lines += ["    esac", "}", "_tidemark() {",
              '    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" command="${COMP_WORDS[1]}" words',
              "    COMPREPLY=()",
              '    if [ "$COMP_CWORD" -eq 1 ]; then',
              f'        words="{" ".join(firsts)} --help --version"',
              "    else",
              '        if [ "$COMP_CWORD" -gt 2 ] && [[ " $(_tidemark_second "$command") " = *" ${COMP_WORDS[2]} "* ]]; then',
              '            command="$command ${COMP_WORDS[2]}"',
              "        fi",
              '        words="$(_tidemark_words "$command $prev")"',
              '        if [ -z "$words" ] && [ "${cur#-}" != "$cur" ]; then',
              '            words="$(_tidemark_words "$command")"',
              '        elif [ -z "$words" ] && [ "$COMP_CWORD" -eq 2 ]; then',
              '            words="$(_tidemark_second "$command")"',
              "        fi",
              "    fi",
              '    [ -n "$words" ] && mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")',
              "    return 0", "}", "complete -o default -F _tidemark tidemark"]
    return lines


def main():
    tidemark, tidemarkd, config, version, *outs = sys.argv[1:]
    pages = {"tidemark.1": lambda: page_tidemark(tidemark, version), "tidemarkd.8": lambda: page_tidemarkd(tidemarkd, version),
             "tidemark.yaml.5": lambda: page_yaml(pathlib.Path(config), version), "tidemark.bash": lambda: page_bash(tidemark, version)}
    for out in map(pathlib.Path, outs):
        out.write_text("\n".join(pages[out.name]()) + "\n")


if __name__ == "__main__":
    main()
