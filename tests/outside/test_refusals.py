"""Each refusal of the contract, produced with grpcurl: its code, its reason, and text that a person can use."""

import base64
import functools
import json
import subprocess
import uuid
from collections.abc import Iterable
from typing import Any

from google.protobuf import any_pb2, json_format
from google.rpc import code_pb2
from support import (
    DEADLINE,
    MP3,
    Case,
    OpenStream,
    OwnServer,
    Refusal,
    another_mp3,
    api,
    audio_messages,
    corrupt,
    fictional,
    grpcurl,
    not_mp3,
    poll,
    telephony_api,
    timestamp,
    too_large,
    too_long,
    too_short,
    use_case_api,
    use_cases,
)

NOWHERE = "01900000-0000-7000-8000-000000000000"
TELEPHONY, USE_CASES, VOICEMAILS = (
    f"ringless.v1.{name}" for name in ("TelephonyService", "UseCaseService", "VoicemailService")
)


def refusal_of(done: subprocess.CompletedProcess[str]) -> Refusal:
    """What grpcurl printed as text: its code, its message and its details."""
    lines = done.stderr.splitlines()
    code = next(line.split("Code:")[1].strip() for line in lines if "Code:" in line)
    name = "".join(("_" if letter.isupper() and index else "") + letter.upper() for index, letter in enumerate(code))
    message = next(line.split("Message:")[1].strip() for line in lines if "Message:" in line)
    return Refusal(name, message, details_of(done.stderr))


def details_of(text: str) -> Iterable[any_pb2.Any]:
    """The details as grpcurl prints them: JSON objects, each with its @type, decoded or raw."""
    decoder = json.JSONDecoder()
    position = text.find("Details:")
    while position >= 0 and (position := text.find("{", position)) >= 0:
        detail, end = decoder.raw_decode(text, position)
        position = end
        if "@value" in detail and "@error" in detail:
            yield any_pb2.Any(type_url=detail["@type"], value=base64.b64decode(detail["@value"]))
        else:
            yield json_format.ParseDict(detail, any_pb2.Any())


class Refusals(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.client.upload(MP3)

    def refuse(
        self, method: str, code: str, reason: str, *requests: dict[str, Any], fields: Iterable[str] = ()
    ) -> Refusal:
        with self.subTest(f"{reason} from {method.rsplit('.')[-1]}"):
            done = grpcurl(self.server, method, messages=requests)
            self.assertNotEqual(done.returncode, 0, f"should be refused, but was answered: {done.stdout}")
            self.assertIn("Code:", done.stderr)
            refusal = refusal_of(done)
            self.assertIn(code, code_pb2.Code.keys())
            self.check(refusal, code, reason)
            for field in fields:
                self.assertIn(field, refusal.fields, str(refusal))
            return refusal
        return Refusal("", "", ())

    def send(self, *requests: dict[str, Any], code: str, reason: str, fields: Iterable[str] = ()) -> Refusal:
        return self.refuse(f"{VOICEMAILS}/SendVoicemail", code, reason, *requests, fields=fields)

    def metadata(self, **changes: Any) -> dict[str, Any]:
        return {"metadata": {"use_case_id": self.use_case.id, "recipient_phone_number": fictional(17)} | changes}

    # Arguments.

    def test_bad_fields_are_all_named_at_once(self) -> None:
        bad = self.metadata(
            use_case_id="no uuid",
            request_id="ä",
            labels={"Bad Key": "x"},
            schedule_time="2099-01-01T00:00:00Z",
            expire_time="2001-01-01T00:00:00Z",
        )
        refusal = self.send(bad, code="INVALID_ARGUMENT", reason="INVALID_FIELD")
        named = " ".join(refusal.fields)
        for field in ("use_case_id", "request_id", "labels", "schedule_time"):
            self.assertIn(field, named)

    def test_bad_fields_of_the_other_calls(self) -> None:
        calls: list[tuple[str, dict[str, Any], str]] = [
            (f"{VOICEMAILS}/GetVoicemail", {"voicemail_id": "x"}, "voicemail_id"),
            (f"{VOICEMAILS}/GetAudio", {"audio_id": ""}, "audio_id"),
            (f"{VOICEMAILS}/DownloadAudio", {"audio_id": "x"}, "audio_id"),
            (f"{VOICEMAILS}/CancelVoicemail", {}, "voicemail_id"),
            (f"{VOICEMAILS}/ListVoicemails", {"page_size": -1}, "page_size"),
            (f"{USE_CASES}/GetUseCase", {"use_case_id": "x"}, "use_case_id"),
            (
                f"{USE_CASES}/CreateUseCase",
                {
                    "use_case": {
                        "setup_id": self.setup.id,
                        "entity_name": "",
                        "name": "n",
                        "channel": "CHANNEL_RINGLESS_VOICEMAIL",
                    }
                },
                "use_case.entity_name",
            ),
            (
                f"{USE_CASES}/CreateUseCase",
                {
                    "use_case": {
                        "setup_id": self.setup.id,
                        "entity_name": "e",
                        "name": " padded ",
                        "channel": "CHANNEL_RINGLESS_VOICEMAIL",
                    }
                },
                "use_case.name",
            ),
            (
                f"{USE_CASES}/UpdateUseCase",
                {"use_case": {"id": self.use_case.id}, "update_mask": {"paths": ["channel"]}},
                "update_mask",
            ),
            (f"{TELEPHONY}/GetSetup", {"setup_id": "x"}, "setup_id"),
            (
                f"{TELEPHONY}/UpdateSetup",
                {"setup": {"id": self.setup.id}, "update_mask": {"paths": ["status"]}},
                "update_mask",
            ),
            (f"{TELEPHONY}/GetPhoneNumber", {"phone_number_id": "x"}, "phone_number_id"),
        ]
        for method, request, field in calls:
            self.refuse(method, "INVALID_ARGUMENT", "INVALID_FIELD", request, fields=[field])

    def test_phone_numbers(self) -> None:
        for number in ("12", "not a number", "+1555"):
            self.send(
                self.metadata(recipient_phone_number=number), code="INVALID_ARGUMENT", reason="INVALID_PHONE_NUMBER"
            )
        self.send(
            self.metadata(recipient_phone_number="+442079460123"), code="INVALID_ARGUMENT", reason="COUNTRY_NOT_ALLOWED"
        )
        number = {"phone_number": {"setup_id": self.setup.id, "phone_number": "12"}}
        self.refuse(f"{TELEPHONY}/CreatePhoneNumber", "INVALID_ARGUMENT", "INVALID_PHONE_NUMBER", number)

    def test_the_order_of_the_stream(self) -> None:
        audio = self.client.upload(MP3)
        chunk = audio_messages(MP3)[0]
        for requests in ([chunk], [self.metadata(), self.metadata()], [self.metadata(audio_id=audio.id), chunk], [{}]):
            self.send(*requests, code="INVALID_ARGUMENT", reason="STREAM_ORDER")
        self.refuse(f"{VOICEMAILS}/UploadAudio", "INVALID_ARGUMENT", "STREAM_ORDER", chunk)

    # Audio.

    def test_audio(self) -> None:
        cases = {
            "AUDIO_MISSING": b"",
            "AUDIO_NOT_MP3": not_mp3(),
            "AUDIO_CORRUPT": corrupt(),
            "AUDIO_TOO_SHORT": too_short(),
            "AUDIO_TOO_LONG": too_long(),
            "AUDIO_TOO_LARGE": too_large(),
        }
        for reason, audio in cases.items():
            self.send(self.metadata(), *audio_messages(audio), code="INVALID_ARGUMENT", reason=reason)
            self.refuse(
                f"{VOICEMAILS}/UploadAudio", "INVALID_ARGUMENT", reason, {"metadata": {}}, *audio_messages(audio)
            )
            if len(audio) <= 3 * 1024 * 1024:
                request = self.metadata() | {"audio": base64.b64encode(audio).decode()}
                self.refuse(f"{VOICEMAILS}/CreateVoicemail", "INVALID_ARGUMENT", reason, request)

    def test_text_is_told_from_audio(self) -> None:
        refusal = self.send(
            self.metadata(),
            *audio_messages(b"Hello, this is no sound at all. " * 4000),
            code="INVALID_ARGUMENT",
            reason="AUDIO_NOT_MP3",
        )
        self.assertIn("MP3", refusal.message)

    def test_a_chunk_over_1_mib(self) -> None:
        largest, too_much = (
            audio_messages(bytes(1024 * 1024), 1024 * 1024),
            audio_messages(bytes(1024 * 1024 + 1), 2 * 1024 * 1024),
        )
        self.send(self.metadata(), *too_much, code="INVALID_ARGUMENT", reason="CHUNK_TOO_LARGE")
        self.send(self.metadata(), *largest, code="INVALID_ARGUMENT", reason="AUDIO_NOT_MP3")

    def test_more_than_3_mib_in_one_message_names_the_streaming_call(self) -> None:
        request = self.metadata() | {"audio": base64.b64encode(MP3 + bytes(3 * 1024 * 1024)).decode()}
        refusal = self.refuse(f"{VOICEMAILS}/CreateVoicemail", "INVALID_ARGUMENT", "AUDIO_TOO_LARGE", request)
        self.assertIn("SendVoicemail", refusal.message)

    # What is not there, and what is there already.

    def test_what_is_not_found(self) -> None:
        number = self.numbers[0].id
        for method, request, reason in (
            (f"{VOICEMAILS}/GetVoicemail", {"voicemail_id": NOWHERE}, "VOICEMAIL_NOT_FOUND"),
            (f"{VOICEMAILS}/CancelVoicemail", {"voicemail_id": NOWHERE}, "VOICEMAIL_NOT_FOUND"),
            (f"{VOICEMAILS}/GetAudio", {"audio_id": NOWHERE}, "AUDIO_NOT_FOUND"),
            (f"{VOICEMAILS}/DownloadAudio", {"audio_id": NOWHERE}, "AUDIO_NOT_FOUND"),
            (f"{VOICEMAILS}/SendVoicemail", self.metadata(audio_id=NOWHERE), "AUDIO_NOT_FOUND"),
            (f"{VOICEMAILS}/SendVoicemail", self.metadata(use_case_id=NOWHERE), "USE_CASE_NOT_FOUND"),
            (f"{USE_CASES}/GetUseCase", {"use_case_id": NOWHERE}, "USE_CASE_NOT_FOUND"),
            (f"{USE_CASES}/DeleteUseCase", {"use_case_id": NOWHERE}, "USE_CASE_NOT_FOUND"),
            (
                f"{USE_CASES}/AssignPhoneNumber",
                {"use_case_id": NOWHERE, "phone_number_id": number},
                "USE_CASE_NOT_FOUND",
            ),
            (
                f"{USE_CASES}/AssignPhoneNumber",
                {"use_case_id": self.use_case.id, "phone_number_id": NOWHERE},
                "PHONE_NUMBER_NOT_FOUND",
            ),
            (f"{TELEPHONY}/GetSetup", {"setup_id": NOWHERE}, "SETUP_NOT_FOUND"),
            (f"{TELEPHONY}/GetPhoneNumber", {"phone_number_id": NOWHERE}, "PHONE_NUMBER_NOT_FOUND"),
            (
                f"{TELEPHONY}/CreatePhoneNumber",
                {"phone_number": {"setup_id": NOWHERE, "phone_number": "+19845550199"}},
                "SETUP_NOT_FOUND",
            ),
        ):
            self.refuse(method, "NOT_FOUND", reason, request)

    def test_what_exists_already(self) -> None:
        same = {
            "channel": "CHANNEL_RINGLESS_VOICEMAIL",
            "entity_name": self.use_case.entity_name,
            "name": self.use_case.name,
            "setup_id": self.setup.id,
        }
        self.refuse(f"{USE_CASES}/CreateUseCase", "ALREADY_EXISTS", "USE_CASE_EXISTS", {"use_case": same})
        number = {"setup_id": self.setup.id, "phone_number": self.numbers[0].phone_number}
        self.refuse(f"{TELEPHONY}/CreatePhoneNumber", "ALREADY_EXISTS", "PHONE_NUMBER_EXISTS", {"phone_number": number})

    # Preconditions.

    def test_a_request_id_with_other_content(self) -> None:
        request_id = str(uuid.uuid4())
        self.client.send(self.use_case.id, fictional(17), MP3, request_id=request_id)
        other = self.metadata(recipient_phone_number=fictional(18), request_id=request_id)
        self.send(other, *audio_messages(MP3), code="FAILED_PRECONDITION", reason="REQUEST_ID_REUSED")
        other_audio = self.metadata(request_id=request_id)
        self.send(other_audio, *audio_messages(another_mp3()), code="FAILED_PRECONDITION", reason="REQUEST_ID_REUSED")

    def test_a_sender_that_is_the_recipient(self) -> None:
        number = self.client.new_number(self.setup.id)
        lonely = self.client.new_use_case(self.setup.id, [number])
        to_itself = self.metadata(use_case_id=lonely.id, recipient_phone_number=number.phone_number)
        self.send(to_itself, *audio_messages(MP3), code="FAILED_PRECONDITION", reason="SENDER_IS_RECIPIENT")

    def test_setups_that_are_not_approved(self) -> None:
        setup = self.client.new_setup()
        number = self.client.new_number(setup.id)
        use_case = self.client.new_use_case(setup.id, [number])
        suspended = self.client.telephony.SuspendSetup(
            telephony_api.SuspendSetupRequest(setup_id=setup.id), timeout=DEADLINE
        ).setup
        self.send(self.metadata(use_case_id=use_case.id), code="FAILED_PRECONDITION", reason="SETUP_NOT_APPROVED")
        another = {
            "channel": "CHANNEL_RINGLESS_VOICEMAIL",
            "entity_name": "outside",
            "name": uuid.uuid4().hex,
            "setup_id": suspended.id,
        }
        self.refuse(f"{USE_CASES}/CreateUseCase", "FAILED_PRECONDITION", "SETUP_NOT_APPROVED", {"use_case": another})
        self.client.telephony.ResumeSetup(telephony_api.ResumeSetupRequest(setup_id=setup.id), timeout=DEADLINE)
        self.client.send(use_case.id, fictional(17), MP3)

    def test_what_is_in_use(self) -> None:
        setup = self.client.new_setup()
        number = self.client.new_number(setup.id)
        use_case = self.client.new_use_case(setup.id, [number])
        self.refuse(f"{TELEPHONY}/DeleteSetup", "FAILED_PRECONDITION", "SETUP_IN_USE", {"setup_id": setup.id})
        self.refuse(
            f"{TELEPHONY}/DeletePhoneNumber",
            "FAILED_PRECONDITION",
            "PHONE_NUMBER_IN_USE",
            {"phone_number_id": number.id},
        )
        self.refuse(
            f"{USE_CASES}/DeleteUseCase", "FAILED_PRECONDITION", "PHONE_NUMBERS_ASSIGNED", {"use_case_id": use_case.id}
        )

        waiting = self.client.send(use_case.id, fictional(17), MP3, schedule_time=timestamp(3600))
        unassign = use_case_api.UnassignPhoneNumberRequest(use_case_id=use_case.id, phone_number_id=number.id)
        self.client.use_cases.UnassignPhoneNumber(unassign, timeout=DEADLINE)
        self.refuse(
            f"{USE_CASES}/DeleteUseCase", "FAILED_PRECONDITION", "VOICEMAILS_IN_FLIGHT", {"use_case_id": use_case.id}
        )

        # Once nothing holds them, all three can go.
        self.client.voicemails.CancelVoicemail(api.CancelVoicemailRequest(voicemail_id=waiting.id), timeout=DEADLINE)
        self.client.use_cases.DeleteUseCase(
            use_case_api.DeleteUseCaseRequest(use_case_id=use_case.id), timeout=DEADLINE
        )
        self.client.telephony.DeletePhoneNumber(
            telephony_api.DeletePhoneNumberRequest(phone_number_id=number.id), timeout=DEADLINE
        )
        self.client.telephony.DeleteSetup(telephony_api.DeleteSetupRequest(setup_id=setup.id), timeout=DEADLINE)
        self.refuse(f"{USE_CASES}/GetUseCase", "NOT_FOUND", "USE_CASE_NOT_FOUND", {"use_case_id": use_case.id})
        self.assertEqual(self.client.get(waiting.id).use_case_id, use_case.id)

    def test_no_active_number(self) -> None:
        number = self.client.new_number(self.setup.id)
        use_case = self.client.new_use_case(self.setup.id)
        self.send(self.metadata(use_case_id=use_case.id), code="FAILED_PRECONDITION", reason="NO_ACTIVE_PHONE_NUMBER")
        assign = use_case_api.AssignPhoneNumberRequest(use_case_id=use_case.id, phone_number_id=number.id)
        self.client.use_cases.AssignPhoneNumber(assign, timeout=DEADLINE)
        deactivate = telephony_api.DeactivatePhoneNumberRequest(phone_number_id=number.id)
        self.client.telephony.DeactivatePhoneNumber(deactivate, timeout=DEADLINE)
        self.send(self.metadata(use_case_id=use_case.id), code="FAILED_PRECONDITION", reason="NO_ACTIVE_PHONE_NUMBER")

    def test_another_channel(self) -> None:
        number = self.client.new_number(self.setup.id)
        calls = self.client.new_use_case(self.setup.id, [number], channel=use_cases.CHANNEL_OUTBOUND_VOICE)
        self.send(self.metadata(use_case_id=calls.id), code="FAILED_PRECONDITION", reason="WRONG_CHANNEL")

    def test_a_number_of_another_setup(self) -> None:
        foreign = self.client.new_number(self.client.new_setup().id)
        request = {"use_case_id": self.use_case.id, "phone_number_id": foreign.id}
        self.refuse(f"{USE_CASES}/AssignPhoneNumber", "FAILED_PRECONDITION", "WRONG_SETUP", request)

    def test_a_carrier_that_is_not_configured(self) -> None:
        request = {"setup": {"display_name": "nowhere", "carriers": ["nosuch"]}}
        self.refuse(f"{TELEPHONY}/CreateSetup", "FAILED_PRECONDITION", "UNKNOWN_CARRIER", request)

    def test_what_has_left_cannot_be_cancelled(self) -> None:
        sent = self.client.send(self.use_case.id, fictional(19), MP3)
        self.client.until_end(sent.id)
        refusal = self.refuse(
            f"{VOICEMAILS}/CancelVoicemail", "FAILED_PRECONDITION", "NOT_CANCELLABLE", {"voicemail_id": sent.id}
        )
        self.assertIn("DELIVERED", refusal.message + json.dumps(refusal.metadata))

    def test_a_refused_call_leaves_its_request_id_free(self) -> None:
        request_id = str(uuid.uuid4())
        self.send(
            self.metadata(request_id=request_id),
            *audio_messages(not_mp3()),
            code="INVALID_ARGUMENT",
            reason="AUDIO_NOT_MP3",
        )
        sent = self.client.send(self.use_case.id, fictional(17), MP3, request_id=request_id)
        self.assertEqual(sent.request_id, request_id)


class Limits(OwnServer):
    """What a server refuses when it has enough; each answer says when to come back."""

    def test_too_many_uploads_and_a_full_queue(self) -> None:
        self.start(config="[accept]\nupload_memory_mib = 8\nupload_spool_mib = 0\nqueue_max = 1\n")
        metadata = api.SendVoicemailMetadata(
            use_case_id=self.use_case.id, recipient_phone_number=fictional(1), schedule_time=timestamp(3600)
        )
        # There is room for one upload of the largest size: of three open streams two are refused at their metadata.
        streams = [OpenStream(self.client, metadata) for _ in range(3)]
        poll("two refusals", lambda: sum(stream.call.done() for stream in streams), lambda done: done == 2)
        for stream in [stream for stream in streams if stream.call.done()]:
            refusal = Refusal.of(stream.error())
            self.check(refusal, "RESOURCE_EXHAUSTED", "TOO_MANY_UPLOADS")
            self.assertGreater(refusal.retry_seconds or 0, 0)
            streams.remove(stream)
        streams[0].feed(MP3)
        streams[0].end()
        self.assert_status(streams[0].call.result(timeout=DEADLINE).voicemail, "ACCEPTED")

        # It waits for its time, and the queue has room for no other.
        send = functools.partial(self.client.send, self.use_case.id, fictional(2), MP3, schedule_time=timestamp(3600))
        refusal = self.refused("RESOURCE_EXHAUSTED", "QUEUE_FULL", send)
        self.assertGreater(refusal.retry_seconds or 0, 0)
