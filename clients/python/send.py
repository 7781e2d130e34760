"""Sends an MP3 as a voicemail through ringless, and follows it to its end.

From the top of the repository, once:

    pip install -r clients/python/requirements.txt
    mkdir -p clients/python/generated
    python3 -m grpc_tools.protoc -I proto --python_out=clients/python/generated \\
        --grpc_python_out=clients/python/generated proto/ringless/v1/*.proto

and then:

    python3 clients/python/send.py assets/demo.mp3 --to +12125550100 --use-case USE_CASE_ID

Exit codes: 0 delivered, 1 refused, 3 not delivered, 4 failed, 5 skipped or cancelled, 6 unconfirmed or still on its
way when --timeout ended.
"""

import argparse
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from google.rpc import error_details_pb2
from grpc_status import rpc_status

import grpc

sys.path.insert(0, str(Path(__file__).parent / "generated"))
from ringless.v1 import voicemail_pb2 as vm
from ringless.v1 import voicemail_service_pb2 as api
from ringless.v1 import voicemail_service_pb2_grpc as services

CHUNK_BYTES = 64 * 1024
STILL_GOING = {vm.VOICEMAIL_STATUS_ACCEPTED, vm.VOICEMAIL_STATUS_SENDING, vm.VOICEMAIL_STATUS_SENT}
EXIT_CODES = {
    vm.VOICEMAIL_STATUS_DELIVERED: 0,
    vm.VOICEMAIL_STATUS_NOT_DELIVERED: 3,
    vm.VOICEMAIL_STATUS_FAILED: 4,
    vm.VOICEMAIL_STATUS_SKIPPED: 5,
    vm.VOICEMAIL_STATUS_CANCELLED: 5,
}


def messages(metadata: api.SendVoicemailMetadata, audio: bytes) -> Iterator[api.SendVoicemailRequest]:
    """The metadata first, then the audio in chunks."""
    yield api.SendVoicemailRequest(metadata=metadata)
    for start in range(0, len(audio), CHUNK_BYTES):
        yield api.SendVoicemailRequest(audio_chunk=audio[start : start + CHUNK_BYTES])


def show(voicemail: vm.Voicemail) -> None:
    status = vm.VoicemailStatus.Name(voicemail.status).removeprefix("VOICEMAIL_STATUS_")
    reason = vm.FailureReason.Name(voicemail.failure_reason).removeprefix("FAILURE_REASON_")
    print(f"{voicemail.id} {status}" + (f" ({reason})" if voicemail.failure_reason else ""), flush=True)


def follow(service: services.VoicemailServiceStub, voicemail: vm.Voicemail, seconds: float) -> vm.Voicemail:
    """Asks for the voicemail until it is at an end, and shows each status that it is seen in."""
    deadline = time.monotonic() + seconds
    request = api.GetVoicemailRequest(voicemail_id=voicemail.id)
    show(voicemail)
    while voicemail.status in STILL_GOING and time.monotonic() < deadline:
        time.sleep(0.2)
        before, voicemail = voicemail, service.GetVoicemail(request, timeout=10).voicemail
        if voicemail.status != before.status:
            show(voicemail)
    return voicemail


def explain(error: grpc.RpcError) -> str:
    """What was refused and why: the message, the stable reason, and each bad field."""
    lines = [f"{error.code().name}: {error.details()}"]
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info, bad, wait = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            lines.append(f"  reason: {info.reason} {dict(info.metadata) or ''}")
        elif detail.Unpack(bad):
            lines += [f"  {violation.field}: {violation.description}" for violation in bad.field_violations]
        elif detail.Unpack(wait):
            lines.append(f"  try again in {wait.retry_delay.ToTimedelta().total_seconds():g} s")
    return "\n".join(lines)


def main() -> int:
    arguments = argparse.ArgumentParser(description="Send an MP3 as a voicemail and follow it to its end.")
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--to", required=True, help="the recipient's phone number")
    arguments.add_argument("--use-case", required=True, help="the id of the use case")
    arguments.add_argument(
        "--request-id", default=str(uuid.uuid4()), help="the same id sends nothing twice (default: a new one)"
    )
    arguments.add_argument("--addr", default="127.0.0.1:50051", help="the server (default: %(default)s)")
    arguments.add_argument(
        "--timeout", type=float, default=60, help="how many seconds to follow it (default: %(default)s)"
    )
    given = arguments.parse_args()

    metadata = api.SendVoicemailMetadata(
        use_case_id=given.use_case, recipient_phone_number=given.to, request_id=given.request_id
    )
    with grpc.insecure_channel(given.addr) as channel:
        service = services.VoicemailServiceStub(channel)
        try:
            voicemail = service.SendVoicemail(messages(metadata, given.file.read_bytes()), timeout=120).voicemail
            print(f"from {voicemail.sender_phone_number} to {voicemail.recipient_phone_number}")
            voicemail = follow(service, voicemail, given.timeout)
        except grpc.RpcError as error:
            print(explain(error), file=sys.stderr)
            return 1
    return EXIT_CODES.get(voicemail.status, 6)


if __name__ == "__main__":
    sys.exit(main())
