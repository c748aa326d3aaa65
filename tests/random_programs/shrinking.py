"""A failing program made smaller: fewer results and statements, inputs for what made them.

In: a program and what says whether it still fails. Out: the smallest one found. Statements that
hold functions lose lines of these, too.
"""

from __future__ import annotations

import re
from dataclasses import replace

from .drawing import Value

MOST = 200


def shrunk(program, fails):
    """The smallest program found that still fails; `fails` is asked at most `MOST` times."""
    asked = 0
    while True:
        for smaller in ways(program):
            asked += 1
            if asked > MOST:
                return program
            if fails(smaller):
                program = smaller
                break
        else:
            return program


def ways(program):
    """Smaller programs, the boldest first."""
    if program.mode != "plain":
        yield replace(program, mode="plain")
    if len(program.results) > 1:
        for name in program.results:
            yield needed(replace(program, results=(name,)))
    for statement in program.statements[:-1]:
        for v in statement.made:
            yield needed(replace(program, results=(v.name,)))
    if program.donated:
        yield replace(program, donated=())
    for k in reversed(range(len(program.statements))):
        yield given(program, k)
    for k, statement in enumerate(program.statements):
        for text in shorter(statement.text):
            changed = replace(statement, text=text)
            yield needed(
                replace(
                    program,
                    statements=(*program.statements[:k], changed, *program.statements[k + 1 :]),
                )
            )


def words(text):
    return set(re.findall(r"\w+", text))


def needed(program):
    """The program without statements and inputs that nobody reads."""
    wanted, kept = set(program.results), []
    for s in reversed(program.statements):
        if wanted & {v.name for v in s.made}:
            wanted |= words(s.text)
            kept.append(s)
    inputs = tuple(v for v in program.inputs if v.name in wanted)
    donated = tuple(k for k, v in enumerate(inputs) if program.inputs.index(v) in program.donated)
    return replace(program, statements=tuple(reversed(kept)), inputs=inputs, donated=donated)


def given(program, k):
    """The program with the values of a statement as inputs."""
    made: tuple[Value, ...] = program.statements[k].made
    rest = (*program.statements[:k], *program.statements[k + 1 :])
    return needed(replace(program, statements=rest, inputs=(*program.inputs, *made)))


def shorter(text):
    """The text without a line within its functions, where nobody reads what that makes."""
    lines = text.splitlines()
    for k, line in enumerate(lines):
        found = re.match(r"\s+(\w+) = ", line)
        if found and found[1] not in words("\n".join([*lines[:k], *lines[k + 1 :]])):
            yield "\n".join([*lines[:k], *lines[k + 1 :]])
