"""Several processes on one database, connections that end by age, and a disk that fills up."""

import os
import subprocess
import sys
import threading
import time
import unittest
import urllib.request
from pathlib import Path

from support import (
    BINARY,
    DEADLINE,
    MP3,
    OwnServer,
    Server,
    another_mp3,
    fictional,
    new_database,
    on_postgres,
    poll,
    use_case_api,
)


@unittest.skipUnless(on_postgres(), "processes that work together do so on Postgres")
class FourProcesses(OwnServer):
    def test_what_either_of_two_accepts_is_delivered_at_once_by_either_of_two_others(self) -> None:
        # A worker looks by itself every minute only: what comes sooner was told to it.
        seldom = "[worker]\npoll_seconds = 60\n"
        url = new_database()
        self.start(database_url=url, roles="api")
        self.apis = [self.server, self.another(roles="api")]
        workers = [self.another(roles="worker", config=seldom) for _ in range(2)]
        for worker in workers:
            poll("a worker that hears", lambda w=worker: metrics(w), lambda text: "ringless_hears_others 1" in text)
        waits = []
        for index in range(20):
            client = self.apis[index % 2].client
            assert client
            began = time.monotonic()
            sent = client.create(self.use_case.id, fictional(index, area=361), audio=MP3)
            self.assert_status(client.until_end(sent.id), "DELIVERED")
            waits.append(time.monotonic() - began)
        waits.sort()
        print(f"from send to DELIVERED: median {waits[10]:.3f} s, longest {waits[-1]:.3f} s", file=sys.stderr)
        # By looks alone these twenty would take many minutes.
        self.assertLess(sum(waits), 60)
        self.assertEqual(len(self.server.drops()), 20)

        # One worker is gone: the other goes on.
        workers[0].kill()
        for index in range(4):
            client = self.apis[index % 2].client
            assert client
            sent = client.create(self.use_case.id, fictional(index, area=361), audio=MP3)
            self.assert_status(client.until_end(sent.id), "DELIVERED")

    def another(self, **arguments: str) -> Server:
        server = Server(database_url=self.server.database_url, data_dir=self.server.data_dir, **arguments).start()
        self.addCleanup(server.kill)
        return server

    def test_no_migrate_refuses_an_empty_database_in_one_line(self) -> None:
        env = dict(os.environ, DATABASE_URL=new_database() or "", RINGLESS_DATA_DIR="/nonexistent")
        said = subprocess.run(
            [BINARY, "serve", "--no-migrate"], env=env, capture_output=True, text=True, timeout=DEADLINE
        )
        self.assertNotEqual(said.returncode, 0)
        errors = [line for line in said.stderr.splitlines() if line.startswith("error")]
        self.assertEqual(len(errors), 1, said.stderr)
        self.assertIn("ringless migrate", errors[0])


class ConnectionAge(OwnServer):
    def test_no_call_fails_when_connections_are_let_go(self) -> None:
        self.start(config="[accept]\nconnection_age_max_seconds = 1\n")
        end = time.monotonic() + 5  # in which the connection is replaced some four times
        failed: list[Exception] = []

        def call_again_and_again() -> None:
            while time.monotonic() < end:
                try:
                    self.client.use_cases.ListUseCases(use_case_api.ListUseCasesRequest(), timeout=DEADLINE)
                except Exception as error:
                    failed.append(error)

        callers = [threading.Thread(target=call_again_and_again) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        self.assertEqual(failed, [])


def may_mount() -> bool:
    """Can this test have a small file system of its own? Root can, in most places."""
    asked = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    return asked.returncode == 0


class SmallDisk(Server):
    """A server whose data folder lies on a file system of 24 MiB, which nobody else sees."""

    def command(self) -> list[str]:
        script = 'mkdir -p "$0" && mount -t tmpfs -o size=24m tmpfs "$0" && exec "$1" serve'
        return ["unshare", "--mount", "sh", "-c", script, str(self.data_dir), str(self.binary)]

    @property
    def inside(self) -> Path:
        """The data folder, as the server sees it."""
        assert self.process
        return Path(f"/proc/{self.process.pid}/root{self.data_dir}")


@unittest.skipUnless(not on_postgres() and may_mount(), "a small file system for SQLite takes the right to mount one")
class FullDisk(OwnServer):
    def test_sends_are_refused_while_the_disk_is_full_and_work_again_behind(self) -> None:
        self.server = SmallDisk().start()
        self.addCleanup(self.server.kill)
        self.take_client()
        before = self.client.create(self.use_case.id, fictional(1, area=702), audio=MP3)
        self.assert_status(self.client.until_end(before.id), "DELIVERED")

        ballast = self.server.inside / "ballast"
        with ballast.open("wb", buffering=0) as file, self.assertRaises(OSError):
            while True:
                file.write(bytes(65536))
        for index in range(20):
            audio = another_mp3()
            self.refused(
                "UNAVAILABLE",
                "STORAGE_UNAVAILABLE",
                lambda audio=audio, index=index: self.client.send(
                    self.use_case.id, fictional(2, area=702), audio, request_id=f"full-{index}"
                ),
            )
        poll("readiness turns", lambda: self.server.http_status("/readyz"), lambda status: status == 503)
        self.assertEqual(self.server.http_status("/livez"), 200)
        self.assertEqual(self.client.get(before.id).id, before.id)  # what only reads is served

        ballast.unlink()
        poll("readiness comes back", lambda: self.server.http_status("/readyz"), lambda status: status == 200)
        sent = self.client.send(self.use_case.id, fictional(2, area=702), another_mp3(), request_id="full-0")
        self.assert_status(self.client.until_end(sent.id), "DELIVERED")
        self.assertEqual(len(self.client.list(recipient_phone_number=fictional(2, area=702))), 1)


def metrics(server: Server) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin_port}/metrics", timeout=10) as answer:
        return answer.read().decode()
