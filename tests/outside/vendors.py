"""Played carriers for the tests from outside: the example `ringless-vendors`, and what must not stand in a log."""

import atexit
import json
import re
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from support import SCRATCH, VENDORS, own_environment, poll

NAMES = ("voicedrop", "drop_cowboy_v2", "drop_cowboy_v1", "slybroadcast")
# Free loopback ports.
ANYWHERE = [part for name in NAMES for part in (f"--{name.replace('_', '-')}", "127.0.0.1:0")]


class Vendors:
    """One `ringless-vendors` on free loopback ports, with the ringless.toml that it writes, and its record."""

    def __init__(self) -> None:
        if not VENDORS.exists():
            raise RuntimeError(f"{VENDORS} is missing: cargo build --locked --example ringless-vendors")
        self.folder = Path(tempfile.mkdtemp(prefix="vendors.", dir=SCRATCH))
        self.config_file = self.folder / "config" / "ringless.toml"
        self.record_file = self.folder / "record"
        ways = ["--write", str(self.config_file.parent), "--record", str(self.record_file)]
        waits = ["--callback-after-ms", "100", "--callback-again-ms", "500"]
        self.log = (self.folder / "vendors.log").open("wb")
        self.process = subprocess.Popen(
            [str(VENDORS), *ANYWHERE, *ways, *waits],
            env=own_environment(),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        _running.append(self)
        poll("the vendors' ringless.toml", self._is_up, bool)
        self.config = self.config_file.read_text()

    def _is_up(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"ringless-vendors did not come up:\n{self.output()}")
        return self.config_file.exists()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()
        if self in _running:
            _running.remove(self)

    def output(self) -> str:
        return Path(self.log.name).read_text(errors="replace")

    # Its configuration.

    def table(self, name: str) -> str:
        """The `[carriers.NAME]` of the configuration, up to the next table."""
        _, found, rest = self.config.partition(f"[carriers.{name}]\n")
        return found + rest.split("\n[")[0].rstrip() + "\n"

    def base_url(self, name: str) -> str:
        found = re.search(r'^base_url = "(.*)"$', self.table(name), re.MULTILINE)
        assert found, self.table(name)
        return found[1]

    def secret(self, name: str) -> str:
        return (self.config_file.parent / name).read_text().strip()

    def secrets(self) -> list[str]:
        """All credentials of the accounts that they play."""
        files = [file for file in self.config_file.parent.iterdir() if file.is_file() and file != self.config_file]
        return [self.secret(file.name) for file in files]

    # Its record.

    def record(self, what: str, vendor: str | None = None) -> list[Any]:
        """What was written down under `what`: request, taken, drop, callback, wrong."""
        whole = self.record_file.read_text().rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines()]
        return [line["it"] for line in lines if line["what"] == what and vendor in (None, line["vendor"])]

    def of_recipient(self, what: str, vendor: str, recipient: str) -> list[Any]:
        return [it for it in self.record(what, vendor) if it["recipient"][-10:] == recipient[-10:]]

    def sound(self, sha256: str) -> bytes:
        return (self.folder / "record.audio" / sha256).read_bytes()

    # Drop Cowboy v2's account.

    def add_webhook(self, url: str) -> str:
        """As its account's owner would, over its API; the answer is the webhook's id."""
        events = ["contact.rvm.status", "contact.rvm.receipt"]
        answer = self._ask_drop_cowboy("POST", "", {"hook_url": url, "event_types": events})
        return answer["data"]["webhook_id"]

    def remove_webhook(self, webhook_id: str) -> None:
        self._ask_drop_cowboy("DELETE", f"/{webhook_id}")

    def _ask_drop_cowboy(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {f"x-{name}": self.secret(f"drop_cowboy_v2_{name}") for name in ("key", "secret")}
        if body is not None:
            headers["content-type"] = "application/json"
        request = urllib.request.Request(
            f"{self.base_url('drop_cowboy_v2')}/register/public/webhooks{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers=headers,
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    # What nobody may find in a log.

    def private(self) -> set[str]:
        """Credentials; tokens of callback addresses and signatures of audio links that any request named; numbers."""
        record = self.record_file.read_text()
        tokens = set(re.findall(r"/callbacks/[^/\"\\]+/([^/?\"\\]+)", record))
        signatures = set(re.findall(r"/audio/[^/\"\\]+/\d+\.([^/\"\\]+)\.mp3", record))
        numbers = set(re.findall(r"\"\+?1?([2-9]\d{9})\"", record))
        if not (tokens and signatures and numbers):
            raise AssertionError(f"there is too little to look for in {record[:2000]}")
        return tokens | signatures | numbers | set(self.secrets())


_running: list[Vendors] = []


@atexit.register
def _kill_all() -> None:
    for vendors in list(_running):
        vendors.kill()


def lines_with(log: str, words: Iterable[str]) -> list[str]:
    """The lines that hold any of them: as it is, as in an address, or in bytes; each cut short."""
    # Without its time a line is often the same as many others.
    lines = {line.partition('","')[2] or line for line in log.splitlines()}
    lines |= {f"{text}, from {line}" for line in lines for text in in_bytes(line)}
    spellings = {spelling for word in words for spelling in (word, urllib.parse.quote(word))}
    whole = "\n".join(lines)
    found = [spelling for spelling in spellings if spelling in whole]
    return [line[:2000] for line in lines if any(spelling in line for spelling in found)]


BYTES = re.compile(r"(?:\d{1,3}, ){9,}\d{1,3}|(?:[0-9a-f]{2}){10,}")


def in_bytes(line: str) -> Iterator[str]:
    """What a line holds as a list of bytes, or in hexadecimal digits."""
    for run in BYTES.findall(line):
        numbers = [int(number) for number in run.split(", ")] if "," in run else bytes.fromhex(run)
        if max(numbers) < 256:
            yield bytes(numbers).decode(errors="replace")
