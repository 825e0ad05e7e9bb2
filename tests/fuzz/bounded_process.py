"""Reads what outsiders write in a process with limits of processor time and memory, as often as a fuzz test asks.

Run as a program it answers one case after another: a line of JSON in, a line of JSON out. The system ends it when one
case takes more processor time than it may; memory beyond the limit is an error in it.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

CPU_S = 5
"""of processor time for one case; the clock does not count"""
MEMORY_BYTES = 256 << 20
"""beyond what the process has when it is ready"""
NOW = datetime(2026, 3, 1, 12)


class BoundedProcess:
    """One process for the cases of a test. Another is started where one has ended."""

    def __init__(self, kind: str) -> None:
        """`kind` is one of `READERS`."""
        self.kind = kind
        self._process: subprocess.Popen[str] | None = None

    def outcome(self, case: Any) -> str:
        """`read`, or `refused: …` with the sentence of a clear error. Raises AssertionError for everything else."""
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = subprocess.Popen(
                [sys.executable, __file__, self.kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(case) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, f"the process ended with code {process.wait()}: more than {CPU_S} s of processor time, or a crash"
        outcome: str = json.loads(line)
        assert outcome == "read" or outcome.startswith("refused: "), outcome
        return outcome

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


def _mail() -> Callable[[Any], None]:
    from keepers.channels.email.bounces.reports import reports_in
    from keepers.channels.email.verp import Verp

    verp = Verp(b"s" * 32, "bounces.shop.example")

    def read(case: Any) -> None:
        recipients = [verp.return_path(verp.token("welcome:1:hello:1:email:x"))]
        reports_in(base64.b64decode(case), verp, NOW, recipients)

    return read


def _playbook() -> Callable[[Any], None]:
    from keepers.playbook.load import load

    folder = Path(tempfile.mkdtemp())

    def read(case: Any) -> None:
        (folder / "playbook.yaml").write_bytes(base64.b64decode(case))
        load(folder)

    return read


def _template() -> Callable[[Any], None]:
    from keepers.render.check import check_message
    from keepers.render.definition import parse_message, parse_snippet
    from keepers.render.renderer import Renderer

    def read(case: Any) -> None:
        content = {"subject": case["subject"], "body": case["body"]}
        fields = {"id": "m", "channel": "email", "topic": "news", "content": {"en": content}}
        message = parse_message({**fields, **({"layout": "layout"} if case["layout"] else {})})
        written = {"layout": case["layout"] or "{{ content }}", "footer": case["footer"]}
        snippets = {name: parse_snippet({"id": name, "content": text}) for name, text in written.items()}
        check_message(message, snippets)
        renderer = Renderer({"m": message}, snippets, link_hosts=("shop.example",), clock=time.process_time)
        context = {"customer": case["data"], "trigger": case["data"], "now": NOW}
        made = renderer.render("m", context, ["en"], None)
        for text in (made.subject, made.html, made.text):
            text.encode()

    return read


READERS = {"mail": _mail, "playbook": _playbook, "template": _template}


def main(kind: str) -> None:
    import resource

    from keepers.channels import registry  # noqa: F401 - messages are written for the channels that it finds
    from keepers.model.errors import KeepersError

    read = READERS[kind]()
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for line in sys.stdin:
        case = json.loads(line)
        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + CPU_S, -1))
        try:
            read(case)
            outcome = "read"
        except KeepersError as error:
            outcome = f"refused: {error}"
        except BaseException:  # noqa: BLE001 - whatever it is, the test shows it
            outcome = traceback.format_exc()[-3000:]
        print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
