"""Every row of the sandbox's table that ends within seconds."""

import uuid
from typing import Any

from support import Case, OwnServer, another_mp3, fictional, poll, vm

# recipient's last two digits: status, failure reason
ENDS = {
    0: ("DELIVERED", None),
    49: ("DELIVERED", None),
    50: ("NOT_DELIVERED", "MAILBOX_FULL"),
    51: ("NOT_DELIVERED", "NO_MAILBOX"),
    52: ("NOT_DELIVERED", "VOICEMAIL_NOT_DETECTED"),
    53: ("NOT_DELIVERED", "UNREACHABLE"),
    54: ("NOT_DELIVERED", "NO_ANSWER"),
    55: ("NOT_DELIVERED", "BUSY"),
    60: ("FAILED", "INVALID_NUMBER"),
    61: ("SKIPPED", "NOT_MOBILE"),
    62: ("SKIPPED", "CARRIER_DNC"),
    63: ("FAILED", "AUDIO_REJECTED"),
    99: ("DELIVERED", None),
}


class Sandbox(Case):
    def send_to(self, to: str) -> Any:
        return self.send(to, another_mp3(), request_id=str(uuid.uuid4()))

    def test_codes_that_end_at_once(self) -> None:
        sent = {last_two: self.send_to(fictional(last_two, area=303)) for last_two in ENDS}
        for last_two, (status, reason) in ENDS.items():
            with self.subTest(f"{last_two:02}"):
                ended = self.client.until_end(sent[last_two].id)
                self.assert_status(ended, status, reason)
                self.assertTrue(ended.simulated)
                self.assertEqual(len(ended.attempts), 1)
                attempt = ended.attempts[0]
                self.assertEqual((attempt.number, attempt.carrier), (1, "sandbox"))
                self.assertEqual(attempt.failure_reason, ended.failure_reason)
                dropped = (self.server.mailbox(ended.recipient_phone_number) / f"{ended.id}.mp3").exists()
                self.assertEqual(dropped, status == "DELIVERED")
                self.assertEqual(len(self.server.drops_of(ended.id)), 1 if dropped else 0)
                self.assertEqual(attempt.outcome == vm.ATTEMPT_OUTCOME_DELIVERED, dropped)

    def test_a_number_that_is_not_fictional_is_never_shown_as_delivered(self) -> None:
        ended = self.client.until_end(self.send_to("+12124567890").id)
        self.assert_status(ended, "FAILED", "SIMULATED_CARRIER")
        self.assertEqual(self.server.drops_of(ended.id), [])

    def test_72_too_fast_then_delivered(self) -> None:
        ended = self.client.until_end(self.send_to(fictional(72, area=303)).id)
        self.assert_status(ended, "DELIVERED")
        outcomes = [attempt.outcome for attempt in ended.attempts]
        self.assertEqual(outcomes, [vm.ATTEMPT_OUTCOME_TRY_AGAIN, vm.ATTEMPT_OUTCOME_DELIVERED])
        self.assertEqual(ended.attempts[0].failure_reason, vm.FAILURE_REASON_CARRIER_RATE_LIMITED)
        waited = ended.attempts[1].start_time.ToNanoseconds() - ended.attempts[0].start_time.ToNanoseconds()
        self.assertGreaterEqual(waited, 1_900_000_000)
        self.assertEqual(len(self.server.drops_of(ended.id)), 1)

    def test_81_breaks_off_after_the_drop_and_is_never_handed_over_again(self) -> None:
        ended = self.client.until_end(self.send_to(fictional(81, area=303)).id)
        self.assert_status(ended, "UNCONFIRMED", "CARRIER_AMBIGUOUS")
        self.assertEqual([attempt.outcome for attempt in ended.attempts], [vm.ATTEMPT_OUTCOME_UNKNOWN])
        self.assertEqual(len(self.server.drops_of(ended.id)), 1)
        self.assertTrue((self.server.mailbox(ended.recipient_phone_number) / f"{ended.id}.mp3").exists())

    def test_90_taken_then_delivered(self) -> None:
        sent = self.send_to(fictional(90, area=303))
        taken = poll(
            "SENT",
            lambda: self.client.get(sent.id),
            lambda v: v.status != vm.VOICEMAIL_STATUS_ACCEPTED and v.status != vm.VOICEMAIL_STATUS_SENDING,
        )
        self.assert_status(taken, "SENT")
        ended = self.client.until_end(sent.id)
        self.assert_status(ended, "DELIVERED")
        self.assertGreaterEqual(ended.end_time.ToNanoseconds() - ended.sent_time.ToNanoseconds(), 4_900_000_000)
        self.assertEqual(len(self.server.drops_of(sent.id)), 1)


class SandboxWithShortWaits(OwnServer):
    """The rows that take minutes or a day at the default settings."""

    def test_70_71_and_80(self) -> None:
        self.start(config="[delivery]\nretry_waits_seconds = [1, 1]\nno_word_deadline_seconds = 2\n")
        sent = {last_two: self.send(fictional(last_two), another_mp3()) for last_two in (70, 71, 80)}
        again, delivered, taken = vm.ATTEMPT_OUTCOME_TRY_AGAIN, vm.ATTEMPT_OUTCOME_DELIVERED, vm.ATTEMPT_OUTCOME_TAKEN
        for last_two, status, reason, outcomes, drops in (
            (70, "DELIVERED", None, [again, again, delivered], 1),
            (71, "FAILED", "RETRIES_EXHAUSTED", [again, again, again], 0),
            (80, "UNCONFIRMED", "CARRIER_NO_CALLBACK", [taken], 0),
        ):
            with self.subTest(last_two):
                ended = self.client.until_end(sent[last_two].id)
                self.assert_status(ended, status, reason)
                self.assertEqual([attempt.outcome for attempt in ended.attempts], outcomes)
                self.assertEqual([attempt.number for attempt in ended.attempts], list(range(1, len(outcomes) + 1)))
                self.assertEqual(len(self.server.drops_of(ended.id)), drops)
