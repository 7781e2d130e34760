"""What a log may hold: never a whole phone number, and the call's id on every line of a call."""

import json

from support import DEADLINE, MP3, NUMBER, Case, Server, api, fictional, use_case_api

import grpc


class Logs(Case):
    def test_no_line_holds_a_whole_number_and_every_line_of_a_call_its_id(self) -> None:
        server = Server(log_filter="debug,h2=off,hyper=off,tower=off").start()
        try:
            client = server.client
            assert client
            found = client.use_cases.ListUseCases(use_case_api.ListUseCasesRequest(name="Demo"), timeout=DEADLINE)
            use_case = found.use_cases[0].id
            for last in (0, 50, 81):
                client.until_end(client.send(use_case, fictional(last), MP3, request_id=f"log-{last}").id)
            for refused in (fictional(3) + "9", "+442071838750"):
                with self.assertRaises(grpc.RpcError):
                    client.send(use_case, refused, MP3)
            with self.assertRaises(grpc.RpcError):
                request = api.GetVoicemailRequest(voicemail_id=fictional(5))
                named = (("x-request-id", fictional(4)),)  # an id that a caller chose badly
                client.voicemails.GetVoicemail(request, timeout=DEADLINE, metadata=named)
        finally:
            server.kill()
        lines = [line for line in server.output().splitlines() if line.startswith("{")]
        self.assertGreater(len(lines), 10)
        calls = 0
        for line in lines:
            self.assertIsNone(NUMBER.search(line), line)
            span = json.loads(line).get("span", {})
            if span.get("name") == "call":
                calls += 1
                self.assertTrue(span.get("request.id"), line)
                self.assertTrue(span.get("rpc.method"), line)
        self.assertGreater(calls, 5)
