"""A database restored from a backup: what was sent since is not sent again unasked."""

import sqlite3
import subprocess

from support import BINARY, MP3, OwnServer, api, fictional, new_database, on_postgres, timestamp, vm


class Restore(OwnServer):
    def backup(self) -> None:
        """While the server runs, as an operator takes it."""
        self.copy = self.server.folder / "backup"
        if on_postgres():
            with self.copy.open("wb") as out:
                subprocess.run(["pg_dump", "--no-owner", self.server.database_url], stdout=out, check=True)
        else:
            source = sqlite3.connect(self.server.data_dir / "ringless.db")
            target = sqlite3.connect(self.copy)
            source.backup(target)
            source.close()
            target.close()

    def restore(self) -> None:
        if on_postgres():
            self.server.database_url = new_database()
            quiet = ["psql", self.server.database_url, "-q", "-v", "ON_ERROR_STOP=1"]
            subprocess.run([*quiet, "-f", str(self.copy)], check=True, stdout=subprocess.DEVNULL)
        else:
            for suffix in ("", "-wal", "-shm"):
                (self.server.data_dir / f"ringless.db{suffix}").unlink(missing_ok=True)
            (self.server.data_dir / "ringless.db").write_bytes(self.copy.read_bytes())

    def recover(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(BINARY), "recover", *arguments, "--data-dir", str(self.server.data_dir)]
        if self.server.database_url:
            command += ["--database-url", self.server.database_url]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def test_what_was_sent_since_the_backup_is_not_sent_again(self) -> None:
        self.start(roles="api")
        use_case, audio = self.use_case.id, self.client.upload(MP3)

        def send(last_two: int, **metadata: object) -> str:
            return self.client.create(use_case, fictional(last_two, 415), audio_id=audio.id, **metadata).id

        delivered = [send(number) for number in range(4)]
        # The sandbox can't be asked about this one.
        broken = send(81)
        # This one was cancelled after the backup: nobody sends it unasked.
        cancelled = send(20)
        later = send(21, schedule_time=timestamp(3_000))
        self.backup()
        self.client.voicemails.CancelVoicemail(api.CancelVoicemailRequest(voicemail_id=cancelled))
        self.server.kill()
        self.server.roles = None
        self.restart()
        for voicemail in delivered:
            self.assert_status(self.client.until_end(voicemail), "DELIVERED")
        self.assert_status(self.client.until_end(broken), "UNCONFIRMED", "CARRIER_AMBIGUOUS")

        refused = self.recover("--after-restore")
        self.assertEqual(refused.returncode, 1)
        self.assertRegex(refused.stderr, "stop all of them first|another process has the database")
        self.server.kill()
        self.restore()
        held = self.recover("--after-restore")
        self.assertEqual(held.returncode, 0, held.stderr)
        for line in ("due", "6 are ACCEPTED", "settled", "4: the carrier has them", "unsent", "2: ", "held: 3."):
            self.assertIn(line, held.stdout)
        self.restart()
        for voicemail in delivered:
            self.assert_status(self.client.until_end(voicemail), "DELIVERED")
        for voicemail in (broken, cancelled):
            waiting = self.client.get(voicemail)
            self.assertEqual(waiting.status, vm.VOICEMAIL_STATUS_ACCEPTED)
            self.assertIn("restore", waiting.status_detail)
        # Its caller could have brought it forward since the backup.
        self.assertIn("restore", self.client.get(later).status_detail)
        self.client.voicemails.CancelVoicemail(api.CancelVoicemailRequest(voicemail_id=cancelled))

        self.server.kill()
        released = self.recover("--release-unsent")
        self.assertEqual(released.returncode, 0, released.stderr)
        unsure = self.recover("--close")
        self.assertEqual(unsure.returncode, 1)
        self.assertIn("held: 1.", unsure.stdout)
        self.assertIn("--yes", unsure.stderr)
        closed = self.recover("--close", "--yes")
        self.assertEqual((closed.returncode, "done: 1" in closed.stdout), (0, True), closed.stdout + closed.stderr)
        self.restart()
        self.assert_status(self.client.get(broken), "UNCONFIRMED", "CARRIER_AMBIGUOUS")
        # It was let go, and leaves at its time.
        let_go = self.client.get(later)
        self.assertEqual((let_go.status, let_go.status_detail), (vm.VOICEMAIL_STATUS_ACCEPTED, ""))
        for voicemail in [*delivered, broken]:
            self.assertEqual(len(self.server.drops_of(voicemail)), 1)
        self.assertEqual(self.server.drops_of(cancelled), [])
