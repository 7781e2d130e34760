"""What the tests from outside share: a real `ringless serve`, grpcurl, a generated client, audio, polls with deadlines.

Nothing here knows the Rust code: only the program, its settings, the protos and the contract's promises.
"""

import atexit
import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2_grpc
from grpc_status import rpc_status
from grpc_tools import protoc

import grpc

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
BINARY = Path(os.environ.get("RINGLESS_BIN") or TARGET / "debug" / "ringless").resolve()
VENDORS = Path(os.environ.get("RINGLESS_VENDORS_BIN") or BINARY.parent / "examples" / "ringless-vendors").resolve()
GRPCURL = Path(sys.executable).parent / "grpcurl"
CHUNK_BYTES = 64 * 1024
# How long a test waits for what should come at once or within seconds. Generous: it only ends a test that has failed.
DEADLINE = 60.0

SCRATCH = Path(tempfile.mkdtemp(prefix="ringless-outside."))
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)


def generate_client(folder: Path) -> None:
    """Generates the Python client into `folder`, as a user would."""
    folder.mkdir(parents=True, exist_ok=True)
    protos = sorted(str(path) for path in (ROOT / "proto").rglob("*.proto"))
    well_known = str(Path(protoc.__file__).parent / "_proto")
    arguments = [
        "protoc",
        f"-I{ROOT / 'proto'}",
        f"-I{well_known}",
        f"--python_out={folder}",
        f"--grpc_python_out={folder}",
    ]
    if protoc.main(arguments + protos) != 0:
        raise RuntimeError("the protos could not be compiled with grpcio-tools")


generate_client(SCRATCH / "generated")
sys.path.insert(0, str(SCRATCH / "generated"))

from ringless.v1 import setup_pb2 as setups  # noqa: E402
from ringless.v1 import telephony_service_pb2 as telephony_api  # noqa: E402
from ringless.v1 import telephony_service_pb2_grpc, use_case_service_pb2_grpc, voicemail_service_pb2_grpc  # noqa: E402
from ringless.v1 import use_case_pb2 as use_cases  # noqa: E402
from ringless.v1 import use_case_service_pb2 as use_case_api  # noqa: E402
from ringless.v1 import voicemail_pb2 as vm  # noqa: E402
from ringless.v1 import voicemail_service_pb2 as api  # noqa: E402

ON_THE_WAY = {vm.VOICEMAIL_STATUS_ACCEPTED, vm.VOICEMAIL_STATUS_SENDING, vm.VOICEMAIL_STATUS_SENT}

T = TypeVar("T")


def poll(what: str, ask: Callable[[], T], good: Callable[[T], bool], seconds: float = DEADLINE) -> T:
    """Asks again and again until the answer is good; fails at the deadline, saying what came last."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if good(answer):
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:g} s; the last answer was: {answer}")
        time.sleep(0.02)


def own_environment() -> dict[str, str]:
    """This one's without settings of the program."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RINGLESS_", "DATABASE_URL"))}


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


# --- databases ---


def on_postgres() -> bool:
    return os.environ.get("RINGLESS_OUTSIDE_DATABASE") == "postgres"


def new_database() -> str | None:
    """The DATABASE_URL of a new, empty Postgres database; None for SQLite, where the data folder is enough."""
    if not on_postgres():
        return None
    server = os.environ["RINGLESS_TEST_POSTGRES_URL"]
    name = f"outside_{uuid.uuid4().hex[:12]}"
    subprocess.run(["psql", server, "-q", "-c", f"CREATE DATABASE {name}"], check=True)
    return f"{server.rsplit('/', 1)[0]}/{name}"


# --- the server ---


class Server:
    """One `ringless serve` on free loopback ports. Its data outlive `kill`, so `start` is a restart."""

    def __init__(
        self,
        data_dir: Path | None = None,
        database_url: str | None = "new",
        config: str | None = None,
        roles: str | None = None,
        log_filter: str | None = None,
        is_public: bool = False,
    ) -> None:
        """`is_public`: carriers are told the public HTTP address."""
        self.log_filter = log_filter
        self.is_public = is_public
        self.binary = BINARY
        self.folder = Path(tempfile.mkdtemp(prefix="server.", dir=SCRATCH))
        self.data_dir = data_dir or self.folder / "data"
        self.database_url = new_database() if database_url == "new" else database_url
        self.config = config
        self.roles = roles
        self.process: subprocess.Popen[bytes] | None = None
        self.client: Client | None = None

    def start(self) -> "Server":
        if not self.binary.exists():
            raise RuntimeError(f"{self.binary} is missing: cargo build --locked --bin ringless")
        for _ in range(3):  # a free port can be taken between asking for it and using it
            self.grpc_port, self.http_port, self.admin_port = free_ports(3)
            self._spawn()
            if self._comes_up():
                self.client = Client(self.grpc_addr)
                return self
        raise AssertionError(f"ringless serve did not come up:\n{self.output()}")

    def command(self) -> list[str]:
        return [str(self.binary), "serve"]

    def start_again(self) -> None:
        """On the ports that it had."""
        self._spawn()
        if not self._comes_up():
            raise AssertionError(f"ringless serve did not come up again:\n{self.output()}")

    def _spawn(self) -> None:
        env = own_environment() | {
            "RINGLESS_GRPC_ADDR": self.grpc_addr,
            "RINGLESS_HTTP_ADDR": f"127.0.0.1:{self.http_port}",
            "RINGLESS_ADMIN_ADDR": f"127.0.0.1:{self.admin_port}",
            "RINGLESS_DATA_DIR": str(self.data_dir),
        }
        if self.database_url:
            env["DATABASE_URL"] = self.database_url
        if self.log_filter:
            env["RUST_LOG"] = self.log_filter
        if self.is_public:
            env["RINGLESS_PUBLIC_URL"] = f"http://127.0.0.1:{self.http_port}"
        if self.roles:
            env["RINGLESS_ROLES"] = self.roles
        if self.config:
            (self.folder / "ringless.toml").write_text(self.config)
            env["RINGLESS_CONFIG"] = "ringless.toml"
        self.log = (self.folder / f"serve.{time.time_ns()}.log").open("wb")
        self.process = subprocess.Popen(
            self.command(),
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        _running.append(self)

    def _comes_up(self) -> bool:
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                return False
            if self.http_status("/readyz") == 200:
                return True
            time.sleep(0.02)
        self.kill()
        return False

    @property
    def grpc_addr(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def http_status(self, path: str) -> int | None:
        """The status of a GET at the admin address; None where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def output(self) -> str:
        """All that the running (or last) process has printed."""
        return Path(self.log.name).read_text(errors="replace")

    def kill(self) -> None:
        """kill -9: nothing is finished, flushed or said."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait()
            self.log.close()
        if self in _running:
            _running.remove(self)

    # What the sandbox has dropped.

    def mailbox(self, recipient: str) -> Path:
        return self.data_dir / "mailboxes" / recipient.removeprefix("+")

    def drops(self) -> list[dict[str, Any]]:
        file = self.data_dir / "mailboxes" / "drops.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def drops_of(self, voicemail_id: str) -> list[dict[str, Any]]:
        return [drop for drop in self.drops() if drop["voicemail_id"] == voicemail_id]


_running: list[Server] = []


@atexit.register
def _kill_all() -> None:
    for server in list(_running):
        server.kill()


_shared: list[Server] = []


def shared_server() -> Server:
    """One server for all tests that do not stop it or count everything in it."""
    if not _shared:
        _shared.append(Server().start())
    return _shared[0]


# --- the generated client ---


class Client:
    """The stubs, and the calls that most tests make, in the shortest form."""

    def __init__(self, addr: str, *options: tuple[str, Any]) -> None:
        self.channel = grpc.insecure_channel(addr, options=[("grpc.use_local_subchannel_pool", 1), *options])
        self.voicemails = voicemail_service_pb2_grpc.VoicemailServiceStub(self.channel)
        self.telephony = telephony_service_pb2_grpc.TelephonyServiceStub(self.channel)
        self.use_cases = use_case_service_pb2_grpc.UseCaseServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)

    def send(self, use_case_id: str, to: str, audio: bytes, chunk_bytes: int = CHUNK_BYTES, **metadata: Any) -> Any:
        """Streams `audio`; the answer is the voicemail."""
        first = api.SendVoicemailMetadata(use_case_id=use_case_id, recipient_phone_number=to, **metadata)
        return self.voicemails.SendVoicemail(messages(first, audio, chunk_bytes), timeout=DEADLINE).voicemail

    def create(self, use_case_id: str, to: str, audio: bytes = b"", **metadata: Any) -> Any:
        """The unary twin of `send`."""
        first = api.SendVoicemailMetadata(use_case_id=use_case_id, recipient_phone_number=to, **metadata)
        request = api.CreateVoicemailRequest(metadata=first, audio=audio)
        return self.voicemails.CreateVoicemail(request, timeout=DEADLINE).voicemail

    def upload(self, audio: bytes) -> Any:
        def parts() -> Iterator[Any]:
            yield api.UploadAudioRequest(metadata=api.UploadAudioMetadata())
            for chunk in chunks(audio):
                yield api.UploadAudioRequest(audio_chunk=chunk)

        return self.voicemails.UploadAudio(parts(), timeout=DEADLINE).audio

    def get(self, voicemail_id: str) -> Any:
        return self.voicemails.GetVoicemail(
            api.GetVoicemailRequest(voicemail_id=voicemail_id), timeout=DEADLINE
        ).voicemail

    def list(self, **filters: Any) -> list[Any]:
        """Every page of ListVoicemails."""
        found: list[Any] = []
        request = api.ListVoicemailsRequest(**filters)
        while True:
            answer = self.voicemails.ListVoicemails(request, timeout=DEADLINE)
            found += answer.voicemails
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    def until_end(self, voicemail_id: str, seconds: float = DEADLINE) -> Any:
        """Polls until the voicemail is at an end, whichever."""
        return poll(
            f"an end of {voicemail_id}", lambda: self.get(voicemail_id), lambda v: v.status not in ON_THE_WAY, seconds
        )

    def sandbox_setup(self) -> Any:
        found = self.telephony.ListSetups(telephony_api.ListSetupsRequest(), timeout=DEADLINE).setups
        return next(setup for setup in found if list(setup.carriers) == ["sandbox"] and setup.display_name == "sandbox")

    def new_setup(self, carriers: Iterable[str] = ("sandbox",)) -> Any:
        setup = setups.Setup(display_name=f"outside {uuid.uuid4().hex[:8]}", carriers=list(carriers))
        return self.telephony.CreateSetup(telephony_api.CreateSetupRequest(setup=setup), timeout=DEADLINE).setup

    def new_number(self, setup_id: str) -> Any:
        number = setups.PhoneNumber(setup_id=setup_id, phone_number=next(_senders))
        request = telephony_api.CreatePhoneNumberRequest(phone_number=number)
        return self.telephony.CreatePhoneNumber(request, timeout=DEADLINE).phone_number

    def new_use_case(
        self, setup_id: str, numbers: Iterable[Any] = (), channel: int = use_cases.CHANNEL_RINGLESS_VOICEMAIL
    ) -> Any:
        use_case = use_cases.UseCase(
            channel=channel, entity_name="outside", name=uuid.uuid4().hex[:12], setup_id=setup_id
        )
        made = self.use_cases.CreateUseCase(
            use_case_api.CreateUseCaseRequest(use_case=use_case), timeout=DEADLINE
        ).use_case
        for number in numbers:
            request = use_case_api.AssignPhoneNumberRequest(use_case_id=made.id, phone_number_id=number.id)
            made = self.use_cases.AssignPhoneNumber(request, timeout=DEADLINE).use_case
        return made


def chunks(audio: bytes, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    for start in range(0, len(audio), chunk_bytes):
        yield audio[start : start + chunk_bytes]


def messages(metadata: Any, audio: bytes, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Any]:
    yield api.SendVoicemailRequest(metadata=metadata)
    for chunk in chunks(audio, chunk_bytes):
        yield api.SendVoicemailRequest(audio_chunk=chunk)


class OpenStream:
    """A SendVoicemail call that is fed by hand, and not ended unless told to: shows *when* the server answers."""

    def __init__(self, client: Client, metadata: Any = None) -> None:
        self._queue: Queue[Any] = Queue()
        self.call = client.voicemails.SendVoicemail.future(iter(self._queue.get, None), timeout=DEADLINE * 2)
        if metadata is not None:
            self._queue.put(api.SendVoicemailRequest(metadata=metadata))

    def feed(self, audio: bytes, chunk_bytes: int = CHUNK_BYTES) -> None:
        for chunk in chunks(audio, chunk_bytes):
            self._queue.put(api.SendVoicemailRequest(audio_chunk=chunk))

    def error(self, seconds: float = DEADLINE) -> grpc.RpcError:
        """The refusal that comes while the stream is still open."""
        try:
            answer = self.call.result(timeout=seconds)
        except grpc.FutureTimeoutError:
            raise AssertionError(f"no answer within {seconds:g} s while the stream is open") from None
        except grpc.RpcError as error:
            return error
        finally:
            self.end()
        raise AssertionError(f"accepted, but should be refused: {answer}")

    def end(self) -> None:
        self._queue.put(None)


# --- phone numbers, times, audio ---

# Fictional numbers, +1 NPA 555 01xx: the last two digits choose what the sandbox does. Senders have areas of their own.
_SENDER_AREAS = (919, 984, 828, 704, 336, 252, 910, 980)
_senders = (f"+1{area}55501{last:02}" for area in _SENDER_AREAS for last in range(100))

# What a log must not hold: one of these, with or without +1; ids are hexadecimal or hyphened.
NUMBER = re.compile(r"(?<![0-9a-f-])\+?1?[2-9][0-9]{2}555[0-9]{4}(?![0-9a-f-])")


def fictional(last_two: int, area: int = 212) -> str:
    return f"+1{area}55501{last_two:02}"


def timestamp(seconds_from_now: float = 0) -> Timestamp:
    return Timestamp(seconds=int(time.time() + seconds_from_now))


def _sample() -> bytes:
    named = os.environ.get("RINGLESS_OUTSIDE_MP3")
    return Path(named or ROOT / "assets" / "demo.mp3").read_bytes()


MP3 = _sample()


def another_mp3() -> bytes:
    """The same sound in other bytes: an ID3v1 tag with a title of its own behind it."""
    return MP3 + b"TAG" + uuid.uuid4().hex[:30].encode().ljust(125, b"\0")


def too_short() -> bytes:
    return MP3[: len(MP3) // 5]


def too_long() -> bytes:
    return MP3 * 8


def too_large() -> bytes:
    """One byte over 8 MiB, by an ID3v2 tag in front (its length in four times seven bits)."""
    limit = 8 * 1024 * 1024
    tag = limit + 1 - len(MP3) - 10
    size = bytes((tag >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00\x00" + size + bytes(tag) + MP3


def corrupt() -> bytes:
    """A gap in the middle that is longer than 64 KiB and 10 % of the file."""
    middle = len(MP3) // 2
    return MP3[:middle] + bytes(max(256 * 1024, len(MP3))) + MP3[middle:]


def not_mp3() -> bytes:
    """A WAV header and silence."""
    return (b"RIFF\x24\x40\x1f\x00WAVEfmt " + bytes(36)) + bytes(200_000)


# --- errors ---


class Refusal:
    """A refused call: its code, its ErrorInfo and the fields that it names."""

    def __init__(self, code: str, message: str, details: Iterable[Any]) -> None:
        self.code, self.message = code, message
        self.reason = self.domain = None
        self.metadata: dict[str, str] = {}
        self.fields: list[str] = []
        self.retry_seconds: float | None = None
        for detail in details:
            info, bad, wait = (
                error_details_pb2.ErrorInfo(),
                error_details_pb2.BadRequest(),
                error_details_pb2.RetryInfo(),
            )
            if detail.Unpack(info):
                self.reason, self.domain, self.metadata = info.reason, info.domain, dict(info.metadata)
            elif detail.Unpack(bad):
                self.fields = [violation.field for violation in bad.field_violations]
            elif detail.Unpack(wait):
                self.retry_seconds = wait.retry_delay.ToTimedelta().total_seconds()

    @staticmethod
    def of(error: grpc.RpcError) -> "Refusal":
        status = rpc_status.from_call(error)
        return Refusal(error.code().name, error.details(), status.details if status else ())

    def __str__(self) -> str:
        return f"{self.code} {self.reason} {self.metadata} fields={self.fields} {self.message!r}"


# --- grpcurl ---


def grpcurl(
    server: Server, *arguments: str, messages: Iterable[dict[str, Any]] | None = None
) -> subprocess.CompletedProcess[str]:
    """grpcurl -plaintext [-d @] ADDR ARGUMENTS…, with `messages` as JSON on its standard input."""
    flags = ["-plaintext", "-max-time", "60"] + (["-d", "@"] if messages is not None else [])
    stdin = "\n".join(json.dumps(message) for message in messages or ())
    before = [each for each in arguments if each.startswith("-")]
    after = [each for each in arguments if not each.startswith("-")]
    command = [str(GRPCURL), *flags, *before, server.grpc_addr, *after]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=DEADLINE * 2)


def audio_messages(audio: bytes, chunk_bytes: int = CHUNK_BYTES) -> list[dict[str, Any]]:
    """The chunks as grpcurl takes them: bytes are base64 in JSON."""
    return [{"audio_chunk": base64.b64encode(chunk).decode()} for chunk in chunks(audio, chunk_bytes)]


# --- the test case ---


class Case(unittest.TestCase):
    """A test against the shared server, with a use case of its own that has two numbers."""

    server: Server
    client: Client

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = shared_server()
        assert cls.server.client is not None
        cls.client = cls.server.client
        cls.setup = cls.client.sandbox_setup()
        cls.numbers = [cls.client.new_number(cls.setup.id) for _ in range(2)]
        cls.use_case = cls.client.new_use_case(cls.setup.id, cls.numbers)

    def send(self, to: str, audio: bytes = MP3, **metadata: Any) -> Any:
        return self.client.send(self.use_case.id, to, audio, **metadata)

    def refused(self, code: str, reason: str, call: Callable[[], Any]) -> Refusal:
        """Makes the call, which has to be refused with this code and reason, with text that a person can use."""
        try:
            answer = call()
        except grpc.RpcError as error:
            refusal = Refusal.of(error)
        else:
            raise AssertionError(f"should be refused with {code} {reason}, but was answered: {answer}")
        self.check(refusal, code, reason)
        return refusal

    def check(self, refusal: Refusal, code: str, reason: str) -> None:
        self.assertEqual((refusal.code, refusal.reason), (code, reason), str(refusal))
        self.assertEqual(refusal.domain, "ringless", str(refusal))
        self.assertGreater(len(refusal.message), 10, str(refusal))
        for internal in ("Error {", "SELECT ", "diesel", "panicked", str(self.server.data_dir)):
            self.assertNotIn(internal, refusal.message)
        if code == "INVALID_ARGUMENT" and reason in ("INVALID_FIELD", "INVALID_PHONE_NUMBER"):
            self.assertTrue(refusal.fields, f"no field is named: {refusal}")

    def assert_status(self, voicemail: Any, status: str, reason: str | None = None) -> None:
        self.assertEqual(vm.VoicemailStatus.Name(voicemail.status), f"VOICEMAIL_STATUS_{status}", str(voicemail))
        self.assertEqual(
            vm.FailureReason.Name(voicemail.failure_reason), f"FAILURE_REASON_{reason or 'UNSPECIFIED'}", str(voicemail)
        )


class OwnServer(Case):
    """A test with a server of its own, for it is stopped or set up in its own way."""

    @classmethod
    def setUpClass(cls) -> None:
        pass

    def start(self, **arguments: Any) -> None:
        self.server = Server(**arguments).start()
        self.addCleanup(self.server.kill)
        self.take_client()

    def restart(self) -> None:
        self.server.start()
        self.take_client()

    def take_client(self) -> None:
        assert self.server.client
        self.client = self.server.client
        wanted = use_case_api.ListUseCasesRequest(name="Demo")
        self.use_case = self.client.use_cases.ListUseCases(wanted, timeout=DEADLINE).use_cases[0]
