"""What someone sees who starts `ringless serve` and has only grpcurl: the services, the setup, the first send."""

import json
import os
import re
import subprocess
import uuid

from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from support import DEADLINE, GRPCURL, MP3, Case, Server, audio_messages, fictional, grpcurl, poll, use_case_api, vm

SERVICES = {
    "grpc.health.v1.Health",
    "ringless.v1.TelephonyService",
    "ringless.v1.UseCaseService",
    "ringless.v1.VoicemailService",
}


class FirstSteps(Case):
    def reflect(self, version: str, **request: str) -> reflection_pb2.ServerReflectionResponse:
        """One reflection request; v1 and v1alpha differ in the name of the service only."""
        call = self.client.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        return next(call(iter([reflection_pb2.ServerReflectionRequest(**request)]), timeout=DEADLINE))

    def test_the_printed_grpcurl_line_works_as_pasted(self) -> None:
        server = Server().start()
        try:
            # The text is printed once all is up, so /readyz may have answered just before it.
            output = poll("the start-up output", server.output, lambda text: "grpcurl" in text)
            command = printed_grpcurl_command(output)
            env = dict(os.environ, PATH=f"{GRPCURL.parent}:{os.environ['PATH']}")
            done = subprocess.run(
                ["bash", "-c", command], cwd=server.folder, env=env, capture_output=True, text=True, timeout=DEADLINE
            )
            self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
            voicemail = json.loads(done.stdout)["voicemail"]
            assert server.client
            self.assert_status(server.client.until_end(voicemail["id"]), "DELIVERED")
        finally:
            server.kill()

    def test_both_versions_of_reflection_list_the_services(self) -> None:
        for version in ("v1", "v1alpha"):
            with self.subTest(version):
                answer = self.reflect(version, list_services="")
                names = {service.name for service in answer.list_services_response.service}
                self.assertLessEqual(SERVICES, names)

    def test_reflection_gives_the_files_of_a_method(self) -> None:
        for version in ("v1", "v1alpha"):
            with self.subTest(version):
                answer = self.reflect(version, file_containing_symbol="ringless.v1.VoicemailService")
                files = [
                    descriptor_pb2.FileDescriptorProto.FromString(raw)
                    for raw in answer.file_descriptor_response.file_descriptor_proto
                ]
                methods = {method.name for file in files for service in file.service for method in service.method}
                self.assertIn("SendVoicemail", methods)

    def test_grpcurl_lists_and_describes(self) -> None:
        listed = grpcurl(self.server, "list")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertLessEqual(SERVICES, set(listed.stdout.split()))
        for symbol in (
            "ringless.v1.VoicemailService",
            "ringless.v1.SendVoicemailMetadata",
            "ringless.v1.VoicemailStatus",
        ):
            described = grpcurl(self.server, "describe", symbol)
            self.assertEqual(described.returncode, 0, described.stderr)
            self.assertIn("//", described.stdout, f"{symbol} is described without its comments")

    def test_health_of_the_server_and_of_each_service(self) -> None:
        for service in ("", "ringless.worker", *sorted(SERVICES - {"grpc.health.v1.Health"})):
            with self.subTest(service or "the whole server"):
                request = health_pb2.HealthCheckRequest(service=service)
                # The worker says so once its loop has gone round.
                poll(
                    "SERVING",
                    lambda: self.client.health.Check(request, timeout=DEADLINE).status,
                    lambda status: status == health_pb2.HealthCheckResponse.SERVING,
                )

    def test_admin_addresses(self) -> None:
        for path in ("/livez", "/readyz", "/metrics"):
            self.assertEqual(self.server.http_status(path), 200, path)

    def test_the_ready_made_use_case_has_numbers(self) -> None:
        found = self.client.use_cases.ListUseCases(
            use_case_api.ListUseCasesRequest(name="Demo"), timeout=DEADLINE
        ).use_cases
        self.assertEqual([use_case.name for use_case in found], ["Demo"])
        self.assertGreaterEqual(len(found[0].phone_number_ids), 2)
        self.assertEqual(found[0].setup_id, self.setup.id)

    def test_a_use_case_and_a_streamed_voicemail_with_grpcurl_alone(self) -> None:
        use_case = {
            "channel": "CHANNEL_RINGLESS_VOICEMAIL",
            "entity_name": "Clinic",
            "name": f"Reminders {uuid.uuid4().hex[:8]}",
            "setup_id": self.setup.id,
        }
        made = grpcurl(self.server, "ringless.v1.UseCaseService/CreateUseCase", messages=[{"use_case": use_case}])
        self.assertEqual(made.returncode, 0, made.stderr)
        use_case_id = json.loads(made.stdout)["useCase"]["id"]

        number = self.client.new_number(self.setup.id)
        assignment = {"use_case_id": use_case_id, "phone_number_id": number.id}
        assigned = grpcurl(self.server, "ringless.v1.UseCaseService/AssignPhoneNumber", messages=[assignment])
        self.assertEqual(assigned.returncode, 0, assigned.stderr)

        metadata = {
            "use_case_id": use_case_id,
            "recipient_phone_number": "(212) 555-0107",
            "request_id": str(uuid.uuid4()),
        }
        sent = grpcurl(
            self.server,
            "ringless.v1.VoicemailService/SendVoicemail",
            messages=[{"metadata": metadata}, *audio_messages(MP3)],
        )
        self.assertEqual(sent.returncode, 0, sent.stderr)
        voicemail = json.loads(sent.stdout)["voicemail"]
        self.assertEqual(voicemail["recipientPhoneNumber"], fictional(7))
        self.assertEqual(voicemail["senderPhoneNumber"], number.phone_number)
        self.assertTrue(voicemail["simulated"])
        ended = self.client.until_end(voicemail["id"])
        self.assertEqual(ended.status, vm.VOICEMAIL_STATUS_DELIVERED)


def printed_grpcurl_command(output: str) -> str:
    """The command in the start-up output, as someone would copy it: from `grpcurl` on, with its continued lines."""
    lines = output.splitlines()
    for index, line in enumerate(lines):
        match = re.search(r"\bgrpcurl\b.*-plaintext.*", line)
        if match:
            command = match[0]
            while command.endswith("\\") and index + 1 < len(lines):
                index += 1
                command = command[:-1] + lines[index].strip()
            return command
    raise AssertionError(f"no grpcurl line in the start-up output:\n{output}")
