"""A voicemail's way from outside: streamed, stored, delivered, dropped; also twice, later, cancelled, half-way."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support import (
    DEADLINE,
    MP3,
    ROOT,
    Case,
    Client,
    OpenStream,
    another_mp3,
    api,
    fictional,
    generate_client,
    not_mp3,
    timestamp,
    too_large,
    too_long,
    vm,
)


class Sending(Case):
    def test_a_streamed_mp3_is_accepted_with_a_sender_and_dropped_byte_for_byte(self) -> None:
        audio, to = another_mp3(), fictional(1)
        accepted = self.send(to, audio, request_id=str(uuid.uuid4()), labels={"campaign": "spring"})
        self.assert_status(accepted, "ACCEPTED")
        self.assertIn(accepted.sender_phone_number, [number.phone_number for number in self.numbers])
        self.assertEqual(accepted.recipient_phone_number, to)
        self.assertEqual(accepted.setup_id, self.setup.id)
        self.assertEqual(dict(accepted.labels), {"campaign": "spring"})
        self.assertEqual(accepted.audio.sha256, hashlib.sha256(audio).hexdigest())
        self.assertEqual(accepted.audio.size_bytes, len(audio))
        self.assertTrue(accepted.simulated)
        self.assertEqual(uuid.UUID(accepted.id).version, 7)

        ended = self.client.until_end(accepted.id)
        self.assert_status(ended, "DELIVERED")
        self.assertEqual([attempt.outcome for attempt in ended.attempts], [vm.ATTEMPT_OUTCOME_DELIVERED])
        self.assertEqual(ended.attempts[0].carrier, "sandbox")
        self.assertEqual((self.server.mailbox(to) / f"{accepted.id}.mp3").read_bytes(), audio)
        self.assertTrue((self.server.mailbox(to) / f"{accepted.id}.json").exists())
        self.assertEqual([drop["sha256"] for drop in self.server.drops_of(accepted.id)], [accepted.audio.sha256])

    def test_the_unary_twin_and_stored_audio(self) -> None:
        audio = another_mp3()
        by_bytes = self.client.create(self.use_case.id, fictional(2), audio, request_id=str(uuid.uuid4()))
        stored = self.client.upload(audio)
        self.assertEqual(by_bytes.audio.id, stored.id)
        by_id = self.client.create(self.use_case.id, fictional(3), audio_id=stored.id, request_id=str(uuid.uuid4()))
        streamed_by_id = self.client.send(
            self.use_case.id, fictional(4), b"", audio_id=stored.id, request_id=str(uuid.uuid4())
        )
        for voicemail in (by_bytes, by_id, streamed_by_id):
            self.assert_status(self.client.until_end(voicemail.id), "DELIVERED")
            self.assertEqual(voicemail.audio, stored)

    def test_chunks_of_any_size(self) -> None:
        for chunk_bytes in (1009, 4096, 1024 * 1024):
            with self.subTest(chunk_bytes):
                self.assert_status(self.send(fictional(5), another_mp3(), chunk_bytes=chunk_bytes), "ACCEPTED")

    def test_downloaded_audio_is_what_was_sent(self) -> None:
        audio = another_mp3()
        stored = self.client.upload(audio)
        self.assertEqual(
            self.client.voicemails.GetAudio(api.GetAudioRequest(audio_id=stored.id), timeout=DEADLINE).audio, stored
        )
        parts = list(
            self.client.voicemails.DownloadAudio(api.DownloadAudioRequest(audio_id=stored.id), timeout=DEADLINE)
        )
        self.assertEqual(parts[0].audio, stored)
        self.assertEqual(b"".join(part.chunk for part in parts[1:]), audio)
        self.assertEqual(self.client.upload(audio).id, stored.id, "the same bytes are the same audio")

    def test_a_hundred_sends_with_one_request_id_are_one_voicemail_and_one_drop(self) -> None:
        audio, request_id, to = another_mp3(), str(uuid.uuid4()), fictional(6)
        clients = [Client(self.server.grpc_addr) for _ in range(4)]

        def send(index: int) -> str:
            client = clients[index % len(clients)]
            sender = client.send if index % 2 else client.create  # the two ways of sending share their request ids
            return str(sender(self.use_case.id, to, audio, request_id=request_id).id)

        with ThreadPoolExecutor(100) as pool:
            ids = set(pool.map(send, range(100)))
        self.assertEqual(len(ids), 1)
        voicemail_id = ids.pop()
        self.assert_status(self.client.until_end(voicemail_id), "DELIVERED")
        self.assertEqual([found.id for found in self.client.list(request_id=request_id)], [voicemail_id])
        self.assertEqual(len(self.server.drops_of(voicemail_id)), 1)
        self.assertEqual([file.name for file in self.server.mailbox(to).glob("*.mp3")], [f"{voicemail_id}.mp3"])

    def test_a_repeat_answers_with_todays_state(self) -> None:
        request_id = str(uuid.uuid4())
        first = self.send(fictional(8), request_id=request_id)
        self.client.until_end(first.id)
        again = self.send(fictional(8), request_id=request_id)
        self.assertEqual(again.id, first.id)
        self.assert_status(again, "DELIVERED")

    def test_validate_only_stores_nothing(self) -> None:
        request_id = str(uuid.uuid4())
        judged = self.send(fictional(9), another_mp3(), request_id=request_id, validate_only=True)
        self.assertEqual(judged.id, "")
        self.assertIn(judged.sender_phone_number, [number.phone_number for number in self.numbers])
        self.assertEqual(self.client.list(request_id=request_id), [])
        sent = self.send(fictional(9), another_mp3(), request_id=request_id)
        self.assert_status(sent, "ACCEPTED")

    def test_a_scheduled_voicemail_waits_and_can_be_cancelled(self) -> None:
        scheduled = self.send(fictional(10), schedule_time=timestamp(3600), request_id=str(uuid.uuid4()))
        self.assert_status(scheduled, "ACCEPTED")
        for _ in range(2):  # cancelling again answers as the first time
            answer = self.client.voicemails.CancelVoicemail(
                api.CancelVoicemailRequest(voicemail_id=scheduled.id), timeout=DEADLINE
            )
            self.assert_status(answer.voicemail, "CANCELLED")
        self.assert_status(self.client.get(scheduled.id), "CANCELLED")
        self.assertEqual(self.server.drops_of(scheduled.id), [])

    def test_the_same_recipient_is_sent_from_the_same_number(self) -> None:
        senders = {self.send(fictional(11), request_id=str(uuid.uuid4())).sender_phone_number for _ in range(4)}
        self.assertEqual(len(senders), 1)

    def test_an_upload_that_stops_half_way_leaves_nothing_behind(self) -> None:
        audio, request_id = another_mp3(), str(uuid.uuid4())
        files = sorted(path.name for path in self.server.data_dir.iterdir())
        metadata = api.SendVoicemailMetadata(
            use_case_id=self.use_case.id, recipient_phone_number=fictional(12), request_id=request_id
        )
        stream = OpenStream(self.client, metadata)
        stream.feed(audio[: len(audio) // 2])
        stream.call.cancel()
        stream.end()
        self.assertEqual(self.client.list(request_id=request_id), [])
        self.assertEqual(sorted(path.name for path in self.server.data_dir.iterdir()), files)
        # Its request id is free, also for other content.
        sent = self.client.send(self.use_case.id, fictional(13), another_mp3(), request_id=request_id)
        self.assert_status(self.client.until_end(sent.id), "DELIVERED")
        self.assertEqual([found.id for found in self.client.list(request_id=request_id)], [sent.id])


class RefusedWhileStreaming(Case):
    """The refusal has to come while the stream is still open: nothing of it waits for the end."""

    def open(self, **metadata: str) -> OpenStream:
        given = {"use_case_id": self.use_case.id, "recipient_phone_number": fictional(14)} | metadata
        return OpenStream(self.client, api.SendVoicemailMetadata(**given))

    def refused_while_open(self, stream: OpenStream, code: str, reason: str) -> None:
        def ask() -> None:
            raise stream.error()

        self.refused(code, reason, ask)

    def test_metadata_is_judged_before_the_first_chunk(self) -> None:
        self.refused_while_open(
            self.open(use_case_id=str(uuid.UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0000))),
            "NOT_FOUND",
            "USE_CASE_NOT_FOUND",
        )
        self.refused_while_open(self.open(recipient_phone_number="12"), "INVALID_ARGUMENT", "INVALID_PHONE_NUMBER")

    def test_what_is_not_mp3_at_its_first_chunks(self) -> None:
        stream = self.open()
        stream.feed(not_mp3())
        self.refused_while_open(stream, "INVALID_ARGUMENT", "AUDIO_NOT_MP3")

    def test_audio_that_is_already_too_long(self) -> None:
        stream = self.open()
        stream.feed(too_long())
        self.refused_while_open(stream, "INVALID_ARGUMENT", "AUDIO_TOO_LONG")

    def test_audio_that_is_already_too_large(self) -> None:
        stream = self.open()
        stream.feed(too_large() + bytes(64))
        self.refused_while_open(stream, "INVALID_ARGUMENT", "AUDIO_TOO_LARGE")

    def test_a_stream_that_stalls(self) -> None:
        stream = self.open()
        stream.feed(MP3[: len(MP3) // 2])
        self.refused_while_open(stream, "DEADLINE_EXCEEDED", "UPLOAD_STALLED")

    def test_the_connection_goes_on_after_refusals(self) -> None:
        for _ in range(20):
            stream = self.open()
            stream.feed(not_mp3() * 4)
            self.refused_while_open(stream, "INVALID_ARGUMENT", "AUDIO_NOT_MP3")
        self.assert_status(self.send(fictional(15), another_mp3()), "ACCEPTED")


class AudioFixtures(Case):
    """tests/fixtures/audio, whose file names begin with what has to be said of them."""

    REASONS = {
        "not_mp3": "AUDIO_NOT_MP3",
        "corrupt": "AUDIO_CORRUPT",
        "too_short": "AUDIO_TOO_SHORT",
        "too_long": "AUDIO_TOO_LONG",
    }

    def fixtures(self, prefix: str) -> list[Path]:
        found = sorted((ROOT / "tests" / "fixtures" / "audio").glob(f"{prefix}-*"))
        self.assertTrue(found, f"no fixture is named {prefix}-…")
        return found

    def test_accepted(self) -> None:
        for file in self.fixtures("accepted"):
            with self.subTest(file.name):
                audio = self.client.upload(file.read_bytes())
                self.assertGreaterEqual(audio.duration.ToMilliseconds(), 10_000)
                self.assertLessEqual(audio.duration.ToMilliseconds(), 60_300)

    def test_refused(self) -> None:
        for prefix, reason in self.REASONS.items():
            for file in self.fixtures(prefix):
                with self.subTest(file.name):
                    self.refused("INVALID_ARGUMENT", reason, lambda: self.client.upload(file.read_bytes()))


class ExampleClient(Case):
    """clients/python/send.py, as its comment says to use it."""

    def run_it(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            shutil.copy(ROOT / "clients" / "python" / "send.py", folder)
            (folder / "voicemail.mp3").write_bytes(MP3)
            generate_client(folder / "generated")
            command = [sys.executable, "send.py", "voicemail.mp3", "--addr", self.server.grpc_addr, *arguments]
            return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE * 2)

    def test_it_sends_and_follows_to_the_end(self) -> None:
        request_id = str(uuid.uuid4())
        done = self.run_it("--to", fictional(16), "--use-case", self.use_case.id, "--request-id", request_id)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("DELIVERED", done.stdout)
        self.assertEqual(len(self.client.list(request_id=request_id)), 1)

    def test_it_tells_an_end_that_is_no_delivery(self) -> None:
        done = self.run_it("--to", fictional(50), "--use-case", self.use_case.id)
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertIn("NOT_DELIVERED (MAILBOX_FULL)", done.stdout)

    def test_it_explains_a_refusal(self) -> None:
        done = self.run_it("--to", "nonsense", "--use-case", self.use_case.id)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("reason: INVALID_PHONE_NUMBER", done.stderr)
        self.assertIn("recipient_phone_number", done.stderr)
