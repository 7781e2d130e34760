"""Played carriers for the tests from outside: the example `ringless-vendors`, and what must not stand in a log."""

import atexit
import json
import re
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterable
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

    def add_webhook(self, url: str) -> None:
        """As its account's owner would, over its API."""
        request = urllib.request.Request(
            f"{self.base_url('drop_cowboy_v2')}/register/public/webhooks",
            data=json.dumps({"hook_url": url, "event_types": ["contact.rvm.status", "contact.rvm.receipt"]}).encode(),
            headers={
                "content-type": "application/json",
                "x-key": self.secret("drop_cowboy_v2_key"),
                "x-secret": self.secret("drop_cowboy_v2_secret"),
            },
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 201, answer.status

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


def spellings(word: str) -> set[str]:
    """As it is, in an address, in hexadecimal digits, and as a list of bytes."""
    raw = word.encode()
    return {word, urllib.parse.quote(word), urllib.parse.quote_plus(word), raw.hex(), ", ".join(map(str, raw))}


def lines_with(log: str, words: Iterable[str]) -> list[str]:
    """The lines that hold any of them, in whichever spelling; each cut short."""
    found = [spelling for word in words for spelling in spellings(word) if spelling in log]
    return [line[:2000] for line in log.splitlines() if any(spelling in line for spelling in found)]
