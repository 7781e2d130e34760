"""Several processes on one Postgres, replaced one by one under load: no caller notices, nothing is sent twice."""

import signal
import threading
import time
import unittest
from collections.abc import Iterable

from support import DEADLINE, MP3, ROOT, Client, OwnServer, Server, fictional, on_postgres, poll, vm

import grpc

SERVICE_CONFIG = (ROOT / "proto" / "ringless" / "v1" / "service_config.json").read_text()
DRAIN = "drain_delay_seconds = 2\n"
CALLERS = 8
PAUSE = 0.05
# What is sent while a process is away, and again when it is back, at least.
SOME = 50
# The last ones are delivered long before; a lease that a process left behind would end in a minute.
END_DEADLINE = 240.0


@unittest.skipUnless(on_postgres(), "processes that work together do so on Postgres")
class RollingRestart(OwnServer):
    """Two processes take calls, two deliver. The callers are stock clients with the service config as it is shipped."""

    def test_no_call_fails_and_each_voicemail_is_delivered_once(self) -> None:
        self.start(roles="api", config=DRAIN)
        apis = [self.server, self.another("api")]
        workers = [self.another("worker"), self.another("worker")]
        callers = Callers(apis, self.use_case.id, self.client.upload(MP3).id)
        with callers:
            for server in apis + workers:
                callers.go_on()
                assert server.process
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(server.process.wait(timeout=DEADLINE), 0, server.output())
                callers.go_on()
                server.start_again()
            callers.go_on()

        self.assertEqual(callers.failures, [])
        self.take_client()
        poll("all to be dropped", lambda: len(self.server.drops()), lambda n: n >= len(callers.sent), END_DEADLINE)
        dropped = [drop["voicemail_id"] for drop in self.server.drops()]
        self.assertEqual(sorted(dropped), sorted(callers.sent))
        for voicemail_id in callers.sent:
            self.assert_status(self.client.until_end(voicemail_id), "DELIVERED")
        stored = self.client.list(use_case_id=self.use_case.id)
        self.assertEqual(len(stored), len(callers.sent))
        self.assertEqual({voicemail.status for voicemail in stored}, {vm.VOICEMAIL_STATUS_DELIVERED})

    def another(self, roles: str) -> Server:
        """One more process on the same database and the same data folder."""
        server = Server(self.server.data_dir, self.server.database_url, DRAIN, roles).start()
        self.addCleanup(server.kill)
        return server


class Callers:
    """Callers who share a channel to several servers, each sending one voicemail after the other."""

    def __init__(self, servers: Iterable[Server], use_case_id: str, audio_id: str) -> None:
        target = "ipv4:" + ",".join(server.grpc_addr for server in servers)
        # As proto/ringless/v1/README.md says it: without the authority every call would be refused.
        options = [("grpc.service_config", SERVICE_CONFIG), ("grpc.lb_policy_name", "round_robin")]
        self.client = Client(target, *options, ("grpc.default_authority", "ringless"))
        self.use_case_id, self.audio_id = use_case_id, audio_id
        self.sent: list[str] = []
        self.failures: list[str] = []
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.call, args=(number,)) for number in range(CALLERS)]

    def __enter__(self) -> "Callers":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()
        self.client.channel.close()

    def go_on(self) -> None:
        """Comes back when some more were sent, or a call has failed."""
        before = len(self.sent)
        poll("callers to go on", lambda: len(self.sent), lambda now: now >= before + SOME or bool(self.failures))

    def call(self, caller: int) -> None:
        index = 0
        while not self.is_over.is_set():
            index += 1
            try:
                sent = self.client.create(
                    self.use_case_id,
                    fictional(index % 50, area=646),
                    audio_id=self.audio_id,
                    request_id=f"rolling-{caller}-{index}",
                )
                self.sent.append(sent.id)
            except grpc.RpcError as error:
                self.failures.append(f"{error.code().name}: {error.details()}")
            time.sleep(PAUSE)
