"""Batches from outside: one that is killed in the middle and repeated, single sends beside it, and `ringless batch`."""

import csv
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from support import BINARY, DEADLINE, MP3, OwnServer, api, fictional, own_environment, poll, timestamp

import grpc

COUNT = 10_000
# Enough to be under way for long; how many single sends there are meanwhile is what counts.
BESIDE = 4_000


def recipients(count: int, area: int) -> list[Any]:
    return [api.BatchRecipient(recipient_phone_number=f"+1{area}{2_000_000 + n:07}") for n in range(count)]


class Killed(OwnServer):
    def test_ten_thousand_killed_in_the_middle_and_repeated_are_sent_once_each(self) -> None:
        self.start()
        audio = self.client.upload(MP3)
        request = api.BatchSendVoicemailsRequest(
            batch_id="killed",
            use_case_id=self.use_case.id,
            audio_id=audio.id,
            recipients=recipients(COUNT, area=646),
            schedule_time=timestamp(86_400),
        )
        call = self.client.voicemails.BatchSendVoicemails.future(request, timeout=DEADLINE)
        poll("a part of the batch", lambda: self.count("killed"), lambda count: count >= COUNT // 4)
        self.server.kill()
        with self.assertRaises(grpc.RpcError):
            call.result(timeout=DEADLINE)
        self.restart()
        before = self.count("killed")
        began = time.monotonic()
        answer = self.client.voicemails.BatchSendVoicemails(request, timeout=DEADLINE)
        seconds = time.monotonic() - began
        print(f"killed after {before} of {COUNT}; the repeat took {seconds:.1f} s", file=sys.stderr)
        self.assertTrue(0 < before < COUNT, f"{before} were stored before the kill")
        self.assertEqual((answer.accepted_count, answer.known_count, answer.refused_count), (COUNT - before, before, 0))
        ids = [result.accepted.voicemail_id for result in answer.results]
        stored = self.client.list(batch_id="killed", page_size=1000)
        self.assertEqual({each.id for each in stored}, set(ids))
        self.assertEqual(len({each.recipient_phone_number for each in stored}), COUNT)
        by_id = {each.id: each.recipient_phone_number for each in stored}
        self.assertEqual([by_id[id] for id in ids], [each.recipient_phone_number for each in request.recipients])
        cancelled = self.client.voicemails.CancelVoicemails(
            api.CancelVoicemailsRequest(batch_id="killed"), timeout=DEADLINE
        )
        self.assertEqual((cancelled.cancelled_count, cancelled.complete), (COUNT, True))

    def test_single_sends_go_on_beside_a_batch(self) -> None:
        self.start()
        audio = self.client.upload(MP3)
        alone = [self.create(audio.id) for _ in range(200)]
        request = api.BatchSendVoicemailsRequest(
            batch_id="beside",
            use_case_id=self.use_case.id,
            audio_id=audio.id,
            recipients=recipients(BESIDE, area=917),
            schedule_time=timestamp(86_400),
        )
        began = time.monotonic()
        call = self.client.voicemails.BatchSendVoicemails.future(request, timeout=DEADLINE)
        done = threading.Event()
        call.add_done_callback(lambda _: done.set())
        beside = []
        while not done.is_set():
            beside.append(self.create(audio.id))
        seconds = time.monotonic() - began
        self.assertEqual(call.result().accepted_count, BESIDE)
        print(
            f"{BESIDE} in {seconds:.1f} s ({BESIDE / seconds:.0f}/s) with {len(beside)} single sends meanwhile: "
            f"{quantiles(beside)}; before it, alone: {quantiles(alone)}",
            file=sys.stderr,
        )
        # None waited for the whole of the batch.
        self.assertGreater(len(beside), 10)

    def create(self, audio_id: str) -> float:
        began = time.monotonic()
        self.client.create(self.use_case.id, fictional(0), audio_id=audio_id, request_id=uuid.uuid4().hex)
        return time.monotonic() - began

    def count(self, batch_id: str) -> int:
        request = api.GetDeliveryReportRequest(
            start_time=timestamp(-3_600), end_time=timestamp(3_600), include_simulated=True, batch_id=batch_id
        )
        return self.client.voicemails.GetDeliveryReport(request, timeout=DEADLINE).total.total


def quantiles(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    at = lambda share: 1_000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]  # noqa: E731
    return f"P50 {at(0.5):.1f} ms, P99 {at(0.99):.1f} ms, longest {1_000 * ordered[-1]:.1f} ms"


class Command(OwnServer):
    """`ringless batch`, its result file, and what takes it back."""

    def test_the_same_command_again_sends_nobody_twice_and_a_bad_line_is_named(self) -> None:
        self.start(roles="api")
        folder = self.server.folder
        list_file, result, mp3 = folder / "list.csv", folder / "out.csv", folder / "a.mp3"
        mp3.write_bytes(MP3)
        lines = [[each.recipient_phone_number, f"{n}", ""] for n, each in enumerate(recipients(2_300, area=332))]
        lines[1_500] = ["555", "bad number", ""]
        lines[2_200][2] = "tomorrow"
        write(list_file, [["phone_number", "label.row", "schedule_time"], *lines])
        batch = ["batch", str(list_file), "--audio", str(mp3), "--use-case", self.use_case.id, "--result", str(result)]
        first = self.ringless(*batch)
        self.assertEqual(first.returncode, 1)
        self.assertEqual(first.stdout.strip(), "2298 new, 0 known from before, 2 refused")
        self.assertIn("line 1502: INVALID_PHONE_NUMBER: recipient_phone_number: ", first.stderr)
        self.assertIn("line 2202: INVALID_FIELD: schedule_time: ", first.stderr)
        again = self.ringless(*batch)
        self.assertEqual(again.stdout.strip(), "0 new, 2298 known from before, 2 refused")
        self.assertEqual(len(self.client.list(page_size=1000)), 2_298)

        with result.open(newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row["label.row"] for row in rows], [line[1] for line in lines])
        self.assertEqual({row["result"] for row in rows}, {"known", "refused"})
        self.assertEqual(rows[1_500]["reason"], "INVALID_PHONE_NUMBER")
        sent = self.client.get(rows[7]["voicemail_id"])
        self.assertEqual((sent.recipient_phone_number, sent.labels["row"]), (lines[7][0], "7"))

        batch_id = sent.batch_id.rsplit("/", 1)[0]
        one = self.ringless("update", sent.id, "--expire-time", "2099-01-01T00:00:00Z")
        self.assertEqual(one.returncode, 0, one.stderr)
        part = self.ringless("cancel", "--label", "row=7", "--use-case", self.use_case.id)
        self.assertEqual(part.stdout.strip(), "1 cancelled, 0 too late, 0 had ended before", part.stderr)
        rest = self.ringless("cancel", "--batch", batch_id)
        self.assertEqual(rest.stdout.strip(), "2297 cancelled, 0 too late, 0 had ended before", rest.stderr)
        self.assertEqual(self.ringless("cancel", "--batch", "nothing").returncode, 1)

    def ringless(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = own_environment() | {"RINGLESS_ADDR": self.server.grpc_addr}
        return subprocess.run([BINARY, *arguments], env=env, capture_output=True, text=True, timeout=DEADLINE)


def write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
