"""Answers requests: one JSON object a line on stdin, one JSON answer a line on stdout; process.ts asks."""

import json
import os
import sys


def serve(runner, *names):
    """Each request names one of the runner's methods as its verb, which takes the request and returns the answer."""
    verbs = {name: getattr(runner, name) for name in names}
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a peer prints must not become an answer
    for line in sys.stdin:
        try:
            request = json.loads(line)
            answer = {"ok": True, **verbs[request["verb"]](request)}
        except Exception as error:  # told to the caller, who decides
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
