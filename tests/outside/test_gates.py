"""The gates, seen by grpcurl: each refusing, holding and letting pass, with its evidence in GetVoicemail."""

import json
import sys
import time
import uuid
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from support import DEADLINE, MP3, ROOT, OwnServer, Server, api, fictional, grpcurl, poll, timestamp, vm

SERVICE = "ringless.v1.VoicemailService"
ZONE = "America/New_York"

ANY_HOUR = """federal_hours = false
state_hours = false
margin_minutes = 0
acknowledge = "a test that runs at any hour"
"""


def config(hours: tuple[str, str]) -> str:
    """HEALTHCARE has caps alone, INFORMATIONAL closed hours, MARKETING wants a consent, OTHER has a short bound."""
    return f"""
[numbers]
allowed_countries = ["US"]
[carriers.sandbox]
kind = "sandbox"
[carriers.away]
kind = "sandbox"
[purposes.healthcare]
{ANY_HOUR}
[purposes.informational]
{ANY_HOUR}
hours = ["{hours[0]}", "{hours[1]}"]
[purposes.marketing]
{ANY_HOUR}
[purposes.other]
{ANY_HOUR}
audio_seconds_max = 10
"""


def closed_hours(now: datetime) -> tuple[str, str]:
    """Two hours of the day that begin some hours from now, and not in the hour before midnight."""
    start = (now + timedelta(hours=3)).hour
    start = start if start < 22 else 1
    return f"{start:02}:00", f"{start + 1:02}:00"


class Gates(OwnServer):
    def call(self, method: str, request: dict[str, Any], service: str = SERVICE) -> dict[str, Any]:
        done = grpcurl(self.server, f"{service}/{method}", messages=[request])
        self.assertEqual(done.returncode, 0, done.stderr)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def set_up(self) -> None:
        self.start(config=config(closed_hours(datetime.now(ZoneInfo(ZONE)))))
        setup = self.client.new_setup()
        self.setup_id = setup.id
        self.number = self.client.new_number(setup.id)
        self.audio_id = self.client.upload((ROOT / "assets" / "demo.mp3").read_bytes()).id

    def take_client(self) -> None:
        # A file that names carriers seeds nothing, so there is no use case to be found.
        assert self.server.client
        self.client = self.server.client

    def use_case_of(self, purpose: str) -> str:
        use_case = {
            "channel": "CHANNEL_RINGLESS_VOICEMAIL",
            "entity_name": "Elm Street Clinic",
            "name": uuid.uuid4().hex[:12],
            "setup_id": self.setup_id,
            "purpose": f"PURPOSE_{purpose}",
        }
        service = "ringless.v1.UseCaseService"
        made = self.call("CreateUseCase", {"use_case": use_case}, service)
        use_case_id: str = made["useCase"]["id"]
        self.call("AssignPhoneNumber", {"use_case_id": use_case_id, "phone_number_id": self.number.id}, service)
        return use_case_id

    def create(self, use_case_id: str, to: str, **more: Any) -> str:
        metadata = {
            "use_case_id": use_case_id,
            "recipient_phone_number": to,
            "audio_id": self.audio_id,
            "request_id": str(uuid.uuid4()),
        }
        made = self.call("CreateVoicemail", {"metadata": metadata | more})
        voicemail_id: str = made["voicemail"]["id"]
        return voicemail_id

    def full(self, voicemail_id: str) -> dict[str, Any]:
        request = {"voicemail_id": voicemail_id, "view": "VOICEMAIL_VIEW_FULL"}
        voicemail: dict[str, Any] = self.call("GetVoicemail", request)["voicemail"]
        return voicemail

    def until_checked(self, voicemail_id: str) -> dict[str, Any]:
        """As it stands once the gates have been asked and it moves no more by itself."""

        def is_settled(voicemail: dict[str, Any]) -> bool:
            is_ended = voicemail["status"] in ("VOICEMAIL_STATUS_DELIVERED", "VOICEMAIL_STATUS_SKIPPED")
            return is_ended or "hold" in voicemail

        return poll("a look at the gates", lambda: self.full(voicemail_id), is_settled)

    def finding(self, voicemail: dict[str, Any], gate: str) -> dict[str, Any]:
        """What the gate said at the last look, and that all eight were asked, in their order."""
        findings = voicemail["gateChecks"][-1]["findings"]
        order = ["RECIPIENT", "SUPPRESSION", "PURPOSE", "CONSENT", "AUDIO", "CAP", "WINDOW", "SENDER"]
        self.assertEqual([each["gate"] for each in findings], [f"GATE_{each}" for each in order])
        self.assertIn("hours", voicemail["gateChecks"][-1]["rulesVersion"])
        found: dict[str, Any] = findings[order.index(gate)]
        return found

    def inputs(self, finding: dict[str, Any]) -> dict[str, str]:
        return {each["name"]: each["value"] for each in finding["inputs"]}

    def passed(self, voicemail_id: str, gate: str) -> dict[str, Any]:
        voicemail = self.until_checked(voicemail_id)
        self.assertEqual(voicemail["status"], "VOICEMAIL_STATUS_DELIVERED", voicemail)
        finding = self.finding(voicemail, gate)
        self.assertEqual(finding["verdict"], "GATE_VERDICT_PASS")
        return finding

    def refused(self, voicemail_id: str, gate: str, reason: str) -> dict[str, Any]:
        voicemail = self.until_checked(voicemail_id)
        ended = (voicemail["status"], voicemail["failureReason"])
        self.assertEqual(ended, ("VOICEMAIL_STATUS_SKIPPED", f"FAILURE_REASON_{reason}"), voicemail)
        finding = self.finding(voicemail, gate)
        self.assertEqual(finding["verdict"], "GATE_VERDICT_REFUSE")
        self.assertNotIn("attempts", voicemail)
        return finding

    def held(self, voicemail_id: str, gate: str) -> dict[str, Any]:
        voicemail = self.until_checked(voicemail_id)
        self.assertEqual(voicemail["status"], "VOICEMAIL_STATUS_ACCEPTED", voicemail)
        self.assertEqual(voicemail["hold"]["gate"], f"GATE_{gate}")
        self.assertGreater(len(voicemail["hold"]["why"]), 10)
        finding = self.finding(voicemail, gate)
        self.assertEqual(finding["verdict"], "GATE_VERDICT_HOLD")
        return voicemail["hold"]

    def test_each_gate_refuses_holds_and_lets_pass(self) -> None:
        self.set_up()
        health, informational = self.use_case_of("HEALTHCARE"), self.use_case_of("INFORMATIONAL")
        marketing, other = self.use_case_of("MARKETING"), self.use_case_of("OTHER")

        with self.subTest("CAP: the first passes, the second is held for a day, one that would be too late is refused"):
            to = fictional(10)
            first = self.passed(self.create(health, to), "CAP")
            self.assertEqual(self.inputs(first)["limits"], "1 in 1 day(s), 3 in 7 day(s)")
            self.held(self.create(health, to), "CAP")
            soon = datetime.fromtimestamp(time.time() + 600, ZoneInfo("UTC")).isoformat()
            self.refused(self.create(health, to, expire_time=soon), "CAP", "FREQUENCY_CAP")
            self.passed(self.create(health, fictional(11)), "CAP")

        with self.subTest("WINDOW: closed where the area code is, and shown with the zone"):
            hold = self.held(self.create(informational, fictional(12)), "WINDOW")
            opens = datetime.fromisoformat(hold["holdUntil"].replace("Z", "+00:00")).astimezone(ZoneInfo(ZONE))
            self.assertEqual(f"{opens:%H:%M}", closed_hours(datetime.now(ZoneInfo(ZONE)))[0])
            self.passed(self.create(health, fictional(13)), "WINDOW")

        with self.subTest("CONSENT: missing, then on record, then revoked"):
            to, consents = fictional(14), "ringless.v1.ConsentService"
            self.refused(self.create(marketing, to), "CONSENT", "CONSENT_MISSING")
            consent = {
                "phone_number": to,
                "kind": "CONSENT_KIND_WRITTEN",
                "text_shown": "I agree to be sent offers by voicemail",
                "source": "web form",
                "actor": "a test",
            }
            made = self.call("CreateConsent", {"consent": consent}, consents)["consent"]
            given = self.passed(self.create(marketing, to), "CONSENT")
            self.assertEqual(self.inputs(given)["consent"], made["id"])
            self.call("RevokeConsent", {"consent_id": made["id"], "reason": "no more", "actor": "a test"}, consents)
            self.refused(self.create(marketing, to), "CONSENT", "CONSENT_REVOKED")

        with self.subTest("SUPPRESSION: refused with its source, and let pass once it is deleted"):
            to, service = fictional(15), "ringless.v1.SuppressionService"
            suppression = {
                "phone_number": to,
                "reason": "SUPPRESSION_REASON_OPT_OUT",
                "source": "hotline",
                "actor": "a test",
            }
            made = self.call("CreateSuppression", {"suppression": suppression}, service)["suppression"]
            refused = self.refused(self.create(health, to), "SUPPRESSION", "INTERNAL_DNC")
            self.assertEqual(self.inputs(refused)["source"], "hotline")
            request = {"suppression_id": made["id"], "reason": "asked to be put back", "actor": "a test"}
            self.call("DeleteSuppression", request, service)
            self.passed(self.create(health, to), "SUPPRESSION")

        with self.subTest("AUDIO: longer than the purpose allows"):
            self.refused(self.create(other, fictional(16)), "AUDIO", "AUDIO_NOT_ALLOWED")
            self.passed(self.create(health, fictional(17)), "AUDIO")

        with self.subTest("SENDER: at its cap the number is waited for"):
            change = {"phone_number": {"id": self.number.id, "daily_cap": 1}, "update_mask": {"paths": ["daily_cap"]}}
            self.call("UpdatePhoneNumber", change, "ringless.v1.TelephonyService")
            self.held(self.create(health, fictional(18)), "SENDER")
            change["phone_number"]["daily_cap"] = 0
            self.call("UpdatePhoneNumber", change, "ringless.v1.TelephonyService")
            self.passed(self.create(health, fictional(19)), "SENDER")

        with self.subTest("CheckRecipient says the same and sends nothing"):
            request = {"use_case_id": informational, "recipient_phone_number": fictional(12)}
            checked = self.call("CheckRecipient", request)
            self.assertEqual(checked["verdict"], "GATE_VERDICT_HOLD")
            by_gate = {each["gate"]: each["verdict"] for each in checked["findings"]}
            self.assertEqual(by_gate["GATE_WINDOW"], "GATE_VERDICT_HOLD")
            self.assertEqual(by_gate["GATE_SUPPRESSION"], "GATE_VERDICT_PASS")

        with self.subTest("RECIPIENT: one whose country is no longer allowed"):
            scheduled = datetime.fromtimestamp(time.time() + 5, ZoneInfo("UTC")).isoformat()
            waiting = self.create(health, fictional(20), schedule_time=scheduled)
            self.server.kill()
            self.server.config = (self.server.config or "").replace('["US"]', '["CA"]\ndefault_country = "CA"')
            self.restart()
            self.refused(waiting, "RECIPIENT", "RECIPIENT_NOT_ALLOWED")

    def test_nobody_sends_for_real_before_a_purpose_is_chosen(self) -> None:
        vendor = '[carriers.vendor]\nkind = "voicedrop"\nauth_key = { file = "key" }\n'
        server = Server(config=f"{vendor}[purposes.healthcare]\n", is_public=True)
        (server.folder / "key").write_text("a key that opens nothing\n")
        self.server = server.start()
        self.addCleanup(self.server.kill)
        self.take_client()
        setup = self.client.new_setup(["vendor"])
        service = "ringless.v1.TelephonyService"
        self.call("ApproveSetup", {"setup_id": setup.id}, service)
        self.setup_id, self.number = setup.id, self.client.new_number(setup.id)
        self.audio_id = self.client.upload((ROOT / "assets" / "demo.mp3").read_bytes()).id
        use_case_id = self.use_case_of("INFORMATIONAL")
        metadata = {
            "use_case_id": use_case_id,
            "recipient_phone_number": fictional(1),
            "audio_id": self.audio_id,
        }
        done = grpcurl(self.server, f"{SERVICE}/CreateVoicemail", messages=[{"metadata": metadata}])
        self.assertNotEqual(done.returncode, 0)
        for part in ("FailedPrecondition", "PURPOSE_NOT_CHOSEN", "[purposes.informational]"):
            self.assertIn(part, done.stderr)
        asked = {"use_case_id": use_case_id, "recipient_phone_number": fictional(1)}
        checked = self.call("CheckRecipient", asked)
        by_gate = {each["gate"]: each["verdict"] for each in checked["findings"]}
        self.assertEqual(by_gate["GATE_PURPOSE"], "GATE_VERDICT_HOLD")


class OptOut(OwnServer):
    def test_an_opt_out_ends_a_thousand_that_wait_and_tells_the_truth_of_one_that_has_left(self) -> None:
        self.start()
        audio, to = self.client.upload(MP3), fictional(80)
        left = self.client.create(self.use_case.id, to, audio_id=audio.id, request_id=str(uuid.uuid4()))
        poll("SENT", lambda: self.client.get(left.id), lambda v: v.status == vm.VOICEMAIL_STATUS_SENT)
        batch = api.BatchSendVoicemailsRequest(
            batch_id="waiting",
            use_case_id=self.use_case.id,
            audio_id=audio.id,
            recipients=[api.BatchRecipient(recipient_phone_number=to)] * 1_000,
            schedule_time=timestamp(3_600),
        )
        accepted = self.client.voicemails.BatchSendVoicemails(batch, timeout=DEADLINE)
        self.assertEqual(accepted.accepted_count, 1_000)
        suppression = {
            "phone_number": to,
            "reason": "SUPPRESSION_REASON_OPT_OUT",
            "source": "hotline",
            "actor": "a test",
        }
        began = time.monotonic()
        done = grpcurl(
            self.server, "ringless.v1.SuppressionService/CreateSuppression", messages=[{"suppression": suppression}]
        )
        seconds = time.monotonic() - began
        self.assertEqual(done.returncode, 0, done.stderr)
        answer = json.loads(done.stdout)
        self.assertEqual((answer["skippedCount"], answer["onItsWayCount"]), ("1000", "1"))
        skipped = self.client.list(
            batch_id="waiting",
            statuses=[vm.VOICEMAIL_STATUS_SKIPPED],
            failure_reasons=[vm.FAILURE_REASON_INTERNAL_DNC],
            page_size=1000,
        )
        print(f"1,000 that waited ended with the answer, {1_000 * seconds:.0f} ms after grpcurl began", file=sys.stderr)
        self.assertEqual(len(skipped), 1_000)
        one = self.client.get(left.id)
        self.assert_status(one, "SENT")
        self.assertIn("the recipient was suppressed (OPT_OUT)", one.status_detail)
