"""The round trip with each carrier's adapter, against played vendors: audio links, callbacks, webhooks, failover."""

import hashlib
import json
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

from support import (
    BINARY,
    DEADLINE,
    MP3,
    ROOT,
    SCRATCH,
    VENDORS,
    Case,
    Server,
    audio_messages,
    fictional,
    grpcurl,
    own_environment,
    poll,
    setups,
    shared_server,
    telephony_api,
    vm,
)
from vendors import ANYWHERE, NAMES, Vendors, lines_with

# Recipients' areas, one for each carrier, so that a number tells whose it is.
AREAS = dict(zip(NAMES, (212, 315, 518, 607), strict=True))

# How each ends that a recipient's last two digits stand for: `ringless-vendors --help`.
ENDS = {
    50: ("NOT_DELIVERED", "MAILBOX_FULL"),
    51: ("NOT_DELIVERED", "NO_MAILBOX"),
    52: ("NOT_DELIVERED", "VOICEMAIL_NOT_DETECTED"),
    53: ("NOT_DELIVERED", "UNREACHABLE"),
    54: ("NOT_DELIVERED", "NO_ANSWER"),
    55: ("NOT_DELIVERED", "BUSY"),
    56: ("NOT_DELIVERED", "NO_ANSWER"),
    60: ("FAILED", "INVALID_NUMBER"),
    61: ("SKIPPED", "NOT_MOBILE"),
    62: ("SKIPPED", "CARRIER_DNC"),
    63: ("FAILED", "AUDIO_REJECTED"),
    74: ("FAILED", "CARRIER_UNKNOWN"),
}
# Where a vendor has words of its own, or none: Drop Cowboy v2 knows no landlines and no numbers that are none.
OTHER_ENDS = {
    ("voicedrop", 56): ("NOT_DELIVERED", "ANSWER_SUPERVISION"),
    ("drop_cowboy_v2", 60): ("NOT_DELIVERED", "UNREACHABLE"),
    ("drop_cowboy_v2", 61): ("NOT_DELIVERED", "UNREACHABLE"),
    ("drop_cowboy_v2", 62): ("SKIPPED", "INTERNAL_DNC"),
}
# Faults of our account: the setup's queue stops.
PAUSES = {64: "INSUFFICIENT_FUNDS", 65: "CARRIER_AUTH"}

# Drop Cowboy v2's simulator, +1 555 001 xxxx: no number that anybody could have.
SIMULATOR = {
    "0001": ("DELIVERED", None),
    "0002": ("NOT_DELIVERED", "VOICEMAIL_NOT_DETECTED"),
    "0004": ("NOT_DELIVERED", "NO_ANSWER"),
    "0005": ("NOT_DELIVERED", "BUSY"),
    "0006": ("NOT_DELIVERED", "UNREACHABLE"),
    "0090": ("SKIPPED", "INTERNAL_DNC"),
    "0091": ("SKIPPED", "KNOWN_LITIGATOR"),
    "0092": ("SKIPPED", "REASSIGNED_NUMBER"),
    "0094": ("FAILED", "SENDER_SUSPENDED"),
    "0095": ("FAILED", "SENDER_SUSPENDED"),
    "0097": ("SKIPPED", "FREQUENCY_CAP"),
    "0098": ("SKIPPED", "CONSENT_REVOKED"),
}


def ringless(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program as a client."""
    env = own_environment() | {"RINGLESS_ADDR": f"http://{server.grpc_addr}"}
    return subprocess.run([BINARY, *arguments], env=env, capture_output=True, text=True, timeout=DEADLINE * 2)


class WithVendors(Case):
    """Played vendors, and a server that logs all it can; at the end its log is looked through."""

    vendors: Vendors
    all_vendors: list[Vendors]

    @classmethod
    def setUpClass(cls) -> None:
        cls.all_vendors = []
        cls.vendors = cls.start_vendors()
        cls.serve(cls.vendors.config)

    @classmethod
    def start_vendors(cls) -> Vendors:
        vendors = Vendors()
        cls.all_vendors.append(vendors)
        cls.addClassCleanup(vendors.kill)
        return vendors

    @classmethod
    def serve(cls, config: str) -> None:
        cls.server = Server(config=config, is_public=True, log_filter="trace").start()
        cls.addClassCleanup(cls.server.kill)
        assert cls.server.client
        cls.client = cls.server.client

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.kill()
        log = cls.server.output()
        if log.count("\n") < 1000:
            raise AssertionError(f"the log is too short to be one at the finest level:\n{log}")
        private = set().union(*(vendors.private() for vendors in cls.all_vendors))
        told = lines_with(log, private)
        # The vendors say what happens, too, in a terminal that others may look into.
        for vendors in cls.all_vendors:
            told += lines_with(vendors.output(), private)
        if told:
            raise AssertionError(f"{len(told)} lines of a log tell what they must not, such as\n" + "\n".join(told[:5]))

    @classmethod
    def approved(cls, *carriers: str) -> tuple[Any, Any]:
        """A setup of these carriers, and a use case that sends through it."""
        setup = cls.client.new_setup(carriers)
        request = telephony_api.ApproveSetupRequest(setup_id=setup.id)
        setup = cls.client.telephony.ApproveSetup(request, timeout=DEADLINE).setup
        return setup, cls.client.new_use_case(setup.id, [cls.client.new_number(setup.id)])

    def attempts(self, voicemail: Any) -> list[tuple[str, str]]:
        """Carrier and outcome of each."""
        return [
            (attempt.carrier, vm.AttemptOutcome.Name(attempt.outcome).removeprefix("ATTEMPT_OUTCOME_"))
            for attempt in voicemail.attempts
        ]


class Carriers(WithVendors):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.of_carrier = {name: cls.approved(name) for name in NAMES}

    def use_case_of(self, name: str) -> str:
        return self.of_carrier[name][1].id

    def check_drop(self, name: str, recipient: str) -> None:
        """One message lies in the mailbox, with the sound that was sent; the vendor found no fault."""
        (drop,) = self.vendors.of_recipient("drop", name, recipient)
        self.assertEqual(drop["sha256"], hashlib.sha256(MP3).hexdigest())
        self.assertEqual(self.vendors.sound(drop["sha256"]), MP3)
        self.assertEqual(self.vendors.record("wrong"), [])

    def test_a_streamed_voicemail_is_fetched_byte_for_byte_and_delivered_by_callback(self) -> None:
        for name in NAMES:
            with self.subTest(name):
                # Vendors fetch it whole, after a HEAD, or in ranges.
                for last in range(3):
                    to = fictional(last, AREAS[name])
                    sent = self.client.send(self.use_case_of(name), to, MP3, request_id=f"round-{name}-{last}")
                    ended = self.client.until_end(sent.id)
                    self.assert_status(ended, "DELIVERED")
                    self.assertFalse(ended.simulated)
                    self.assertEqual(self.attempts(ended), [(name, "TAKEN")])
                    self.check_drop(name, to)
                    answered = poll("its callback's answer", lambda: self.answers(name, to), bool)
                    self.assertEqual(set(answered), {200})

    def answers(self, name: str, recipient: str) -> list[int]:
        """What the vendor heard when it called back about this recipient."""
        (taken,) = self.vendors.of_recipient("taken", name, recipient)
        said = self.vendors.record("callback", name)
        return [one["status"] for one in said if one["number"] == taken["number"] and "/callbacks/" in one["url"]]

    def test_odd_ways_to_call_back_and_wishes_to_wait_end_delivered_all_the_same(self) -> None:
        audio = self.client.upload(MP3)
        sent = {
            (name, last): self.client.create(self.use_case_of(name), fictional(last, AREAS[name]), audio_id=audio.id)
            for name in NAMES
            for last in (72, 73, 90, 91, 92, 93, 94, 95, 96)
        }
        for (name, last), voicemail in sent.items():
            with self.subTest(f"{name} {last}"):
                ended = self.client.until_end(voicemail.id)
                self.assert_status(ended, "DELIVERED")
                calls = ["TRY_AGAIN", "TAKEN"] if last in (72, 73) else ["TAKEN"]
                self.assertEqual(self.attempts(ended), [(name, outcome) for outcome in calls])
                to = ended.recipient_phone_number
                self.assertEqual(len(self.vendors.of_recipient("drop", name, to)), 1)
                if last == 94:
                    # A made-up token opens nothing; a vendor that calls again for it is told so again.
                    heard = poll("both words", lambda: self.answers(name, to), lambda all_of: 200 in all_of)
                    self.assertEqual(set(heard), {404, 200})
                if last == 96:
                    # It contradicts itself: the first end stands, and the other is kept beside it.
                    late = poll(
                        "the other word", lambda: self.client.get(ended.id), lambda it: it.attempts[0].late_outcome
                    )
                    self.assert_status(late, "DELIVERED")

    def test_the_command_line_and_grpcurl_go_the_same_way(self) -> None:
        for name in NAMES:
            with self.subTest(name):
                file, use_case = str(ROOT / "assets" / "demo.mp3"), self.use_case_of(name)
                for last, code in ((3, 0), (50, 3), (63, 4), (62, 5)):
                    to = fictional(last, AREAS[name] + 1)
                    done = ringless(self.server, "send", file, "--to", to, "--use-case", use_case, "--wait")
                    self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                    self.assertIn(f"by {name}", done.stdout)
                to = fictional(4, AREAS[name] + 1)
                metadata = {"use_case_id": use_case, "recipient_phone_number": to, "request_id": f"grpcurl-{name}"}
                sent = grpcurl(
                    self.server,
                    "ringless.v1.VoicemailService/SendVoicemail",
                    messages=[{"metadata": metadata}, *audio_messages(MP3)],
                )
                self.assertEqual(sent.returncode, 0, sent.stderr)
                voicemail = json.loads(sent.stdout)["voicemail"]
                self.assert_status(self.client.until_end(voicemail["id"]), "DELIVERED")
                self.check_drop(name, to)

                shown = ringless(self.server, "get", voicemail["id"])
                self.assertEqual(shown.returncode, 0, shown.stderr)
                self.assertRegex(shown.stdout, rf"(?m)^1 +{name} .*TAKEN")
                shown = ringless(self.server, "get", voicemail["id"], "--json")
                attempts = json.loads(shown.stdout)["attempts"]
                self.assertEqual([attempt["carrier"] for attempt in attempts], [name])

    def test_each_failure_ends_with_its_status_and_reason(self) -> None:
        audio = self.client.upload(MP3)
        sent = {
            (name, last): self.client.create(self.use_case_of(name), fictional(last, AREAS[name]), audio_id=audio.id)
            for name in NAMES
            for last in ENDS
        }
        for (name, last), voicemail in sent.items():
            with self.subTest(f"{name} {last}"):
                status, reason = OTHER_ENDS.get((name, last), ENDS[last])
                ended = self.client.until_end(voicemail.id)
                self.assert_status(ended, status, reason)
                self.assertEqual(self.attempts(ended), [(name, "REJECTED" if last == 74 else "TAKEN")])
                # What the vendor said about it is kept, on the attempt.
                self.assertTrue(ended.attempts[0].carrier_code or ended.attempts[0].carrier_detail, str(ended))
                self.assertEqual(self.vendors.of_recipient("drop", name, ended.recipient_phone_number), [])

    def test_a_fault_of_the_account_stops_the_setup_until_it_is_resumed(self) -> None:
        for name in NAMES:
            for last, reason in PAUSES.items():
                with self.subTest(f"{name} {last}"):
                    setup, use_case = self.approved(name)
                    refused = self.client.send(use_case.id, fictional(last, AREAS[name]), MP3)
                    paused = poll("a pause", lambda: self.get_setup(setup.id), lambda found: found.HasField("pause"))
                    self.assertEqual(setups.PauseReason.Name(paused.pause.reason), f"PAUSE_REASON_{reason}")
                    self.assertEqual(paused.pause.carrier, name)
                    # It waits, and so does what comes behind it.
                    waiting = self.client.get(refused.id)
                    # A text alone is no proof that it was not tried.
                    is_certain = name in ("drop_cowboy_v2", "voicedrop")
                    stands = ("ACCEPTED",) if is_certain else ("FAILED", reason)
                    self.assert_status(waiting, *stands)
                    behind = self.client.send(use_case.id, fictional(9, AREAS[name] + 2), MP3)
                    time.sleep(1.5)
                    self.assert_status(self.client.get(behind.id), "ACCEPTED")
                    self.assertEqual(self.client.get(behind.id).attempts, [])
                    if is_certain:
                        cancelled = ringless(self.server, "cancel", refused.id)
                        self.assertEqual(cancelled.returncode, 0, cancelled.stderr)
                    resumed = ringless(self.server, "setup", "resume", setup.id)
                    self.assertEqual(resumed.returncode, 0, resumed.stderr)
                    self.assert_status(self.client.until_end(behind.id), "DELIVERED")
                    ended = ("CANCELLED",) if is_certain else stands
                    self.assert_status(self.client.get(refused.id), *ended)

    def get_setup(self, setup_id: str) -> Any:
        request = telephony_api.GetSetupRequest(setup_id=setup_id)
        return self.client.telephony.GetSetup(request, timeout=DEADLINE).setup

    def test_numbers_of_drop_cowboys_simulator_pass_where_the_settings_say_so(self) -> None:
        name = "drop_cowboy_v2"
        for last, (status, reason) in SIMULATOR.items():
            with self.subTest(last):
                sent = self.client.send(self.use_case_of(name), f"+1555001{last}", MP3)
                self.assert_status(self.client.until_end(sent.id), status, reason)
        elsewhere = shared_server().client
        assert elsewhere
        use_case = elsewhere.new_use_case(elsewhere.sandbox_setup().id)
        self.refused(
            "INVALID_ARGUMENT", "INVALID_PHONE_NUMBER", lambda: elsewhere.send(use_case.id, "+15550010001", MP3)
        )

    def test_a_signed_webhook_is_heard_where_no_callback_comes(self) -> None:
        name = "drop_cowboy_v2"
        webhook = self.vendors.add_webhook(f"http://127.0.0.1:{self.server.http_port}/webhooks/{name}")
        self.addCleanup(self.vendors.remove_webhook, webhook)
        sent = self.client.send(self.use_case_of(name), fictional(80, AREAS[name]), MP3)
        self.assert_status(self.client.until_end(sent.id), "DELIVERED")
        heard = poll("the webhook's answer", self.webhooks_heard, bool)
        self.assertEqual(set(heard), {200})
        self.assertEqual(self.answers(name, sent.recipient_phone_number), [])

    def webhooks_heard(self) -> list[int]:
        said = self.vendors.record("callback", "drop_cowboy_v2")
        return [one["status"] for one in said if "/webhooks/" in one["url"]]


class Failover(WithVendors):
    """A carrier `first`, a VoiceDrop that another program plays, so that it can be stopped by itself."""

    firsts: Vendors

    @classmethod
    def setUpClass(cls) -> None:
        cls.all_vendors = []
        cls.vendors, cls.firsts = cls.start_vendors(), cls.start_vendors()
        first = cls.firsts.table("voicedrop").replace("[carriers.voicedrop]", "[carriers.first]")
        cls.serve(f"{cls.vendors.config}\n{first}\n[delivery]\ndoubt_wait_seconds = 2\n")

    def test_the_second_takes_over_what_the_first_did_not_take_and_nothing_in_doubt(self) -> None:
        _, use_case = self.approved("first", "drop_cowboy_v1")
        sent = self.client.send(use_case.id, fictional(0, 212), MP3)
        ended = self.client.until_end(sent.id)
        self.assert_status(ended, "DELIVERED")
        self.assertEqual(self.attempts(ended), [("first", "TAKEN")])

        # The connection breaks after the first had taken it: its callback tells.
        sent = self.client.send(use_case.id, fictional(81, 212), MP3)
        ended = self.client.until_end(sent.id)
        self.assert_status(ended, "DELIVERED")
        self.assertEqual(self.attempts(ended), [("first", "UNKNOWN")])
        # It breaks before that, and nobody ever tells.
        sent = self.client.send(use_case.id, fictional(75, 212), MP3)
        ended = self.client.until_end(sent.id)
        self.assert_status(ended, "UNCONFIRMED", "CARRIER_AMBIGUOUS")
        self.assertEqual(self.attempts(ended), [("first", "UNKNOWN")])
        self.assertEqual(self.vendors.record("request"), [])

        self.firsts.kill()
        for last in range(1, 4):
            began = time.monotonic()
            sent = self.client.send(use_case.id, fictional(last, 212), MP3)
            ended = self.client.until_end(sent.id)
            self.assertLess(time.monotonic() - began, 10)
            self.assert_status(ended, "DELIVERED")
            self.assertEqual(self.attempts(ended), [("first", "TRY_AGAIN"), ("drop_cowboy_v1", "TAKEN")])
            (drop,) = self.vendors.of_recipient("drop", "drop_cowboy_v1", ended.recipient_phone_number)
            self.assertEqual(self.vendors.sound(drop["sha256"]), MP3)
        shown = ringless(self.server, "get", sent.id)
        self.assertRegex(shown.stdout, r"(?m)^1 +first .*TRY_AGAIN(?s:.*)^2 +drop_cowboy_v1 .*TAKEN")

    def test_what_is_in_doubt_is_sent_again_only_to_a_carrier_that_knows_a_repeat(self) -> None:
        for name in NAMES:
            with self.subTest(name):
                _, use_case = self.approved(name, "first")
                to = fictional(81, AREAS[name] + 3)
                sent = self.client.send(use_case.id, to, MP3)
                ended = self.client.until_end(sent.id)
                self.assert_status(ended, "DELIVERED")
                self.assertEqual({carrier for carrier, _ in self.attempts(ended)}, {name})
                self.assertEqual(len(self.vendors.of_recipient("drop", name, to)), 1)
                self.assertEqual(self.firsts.of_recipient("taken", "voicedrop", to), [])


class ConfigCheck(unittest.TestCase):
    """`ringless config check` with carriers: good, and refused in one line that tells what to mend."""

    vendors: Vendors

    @classmethod
    def setUpClass(cls) -> None:
        cls.vendors = Vendors()
        cls.addClassCleanup(cls.vendors.kill)

    def check(self, config: str, **env: str) -> subprocess.CompletedProcess[str]:
        folder = Path(tempfile.mkdtemp(prefix="config.", dir=SCRATCH))
        (folder / "ringless.toml").write_text(config)
        done = subprocess.run(
            [BINARY, "config", "check", "--config", "ringless.toml"],
            cwd=folder,
            env=own_environment() | env,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        for secret in self.vendors.secrets():
            self.assertNotIn(secret, done.stdout + done.stderr)
        return done

    def refuse(self, config: str, *said: str, **env: str) -> None:
        done = self.check(config, **env)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for part in said:
            self.assertIn(part, done.stderr)

    def test_what_the_vendors_write_is_good(self) -> None:
        done = self.check(self.vendors.config)
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in NAMES:
            self.assertIn(f"{name} ({name})", done.stdout)

    def test_what_the_vendors_print_is_good_as_pasted(self) -> None:
        printing = subprocess.Popen(
            [str(VENDORS), *ANYWHERE],
            env=own_environment(),
            text=True,
            stdout=subprocess.PIPE,
        )
        try:
            assert printing.stdout
            config, exports = [], {}
            for line in printing.stdout:
                if line.startswith("export "):
                    name, _, value = line.removeprefix("export ").strip().partition("=")
                    exports[name] = value
                elif exports:
                    break
                else:
                    config.append(line)
        finally:
            printing.kill()
            printing.communicate()
        self.assertEqual(len(exports), 6)
        done = self.check("".join(config), **exports)
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in exports:
            others = {other: value for other, value in exports.items() if other != name}
            self.refuse("".join(config), f"the environment variable `{name}` is not set; set it", **others)

    def test_each_fault_is_told_in_one_line(self) -> None:
        good = self.vendors.config
        key = next(line for line in good.splitlines() if line.startswith("auth_key"))
        url = f'base_url = "{self.vendors.base_url("voicedrop")}"'
        for old, new, said in [
            (key, 'auth_key = { env = "NOBODY_SETS_THIS" }', ["NOBODY_SETS_THIS", "auth_key", "set it"]),
            (key, 'auth_key = { file = "/nowhere/key" }', ["/nowhere/key", "auth_key"]),
            (key, f'auth_key = "{self.vendors.secret("voicedrop_auth_key")}"', ["auth_key", "{ env = "]),
            (key, "", ["auth_key is missing"]),
            (url, 'base_url = "http://vendor.example/v1"', ["http://vendor.example/v1", "not encrypted"]),
            (url, 'base_url = "http://192.0.2.1/v1"', ["http://192.0.2.1/v1", "not encrypted"]),
            (key, key + "\ncolour = 1", ["colour"]),
            ('kind = "voicedrop"', 'kind = "pigeon"', ["pigeon", "known are"]),
        ]:
            with self.subTest(new):
                self.assertIn(old, good)
                self.refuse(good.replace(old, new), *said, "[carriers.voicedrop]")
        with self.subTest("no public_url"):
            lines = [line for line in good.splitlines() if not line.startswith("public_url")]
            self.refuse("\n".join(lines), "public_url")


if __name__ == "__main__":
    unittest.main()
