"""Dockerfiles as BuildKit reads them.  Pure: bytes and mappings in, values out.

    nodes.read()      bytes -> Source: directives, and nodes with their line ranges
    parse.parse()     bytes -> Dockerfile: global arguments and stages of typed instructions
    instructions      what an executor works on; interpret.py makes them from nodes
    scope.Scope       ARG and ENV as they stand at an instruction; expands each where BuildKit does
    shellwords        ${v:-x} and the like, quotes, escapes
    mounts            RUN --mount=... as values
    ignore            .dockerignore
    lint              the checks of `rl build --check`

Text is decoded as UTF-8 with surrogateescape, so that any byte comes out again as it went in.
Behaviour: github.com/moby/buildkit, frontend/dockerfile, at Dockerfile 1.19 and later.
"""
