"""Lists with every filter, paging, and the delivery report."""

import uuid

from support import DEADLINE, Case, another_mp3, api, fictional, timestamp, vm


class Lists(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.audio = cls.client.upload(another_mp3())
        cls.sent = [
            cls.client.create(
                cls.use_case.id,
                fictional(20 + index, area=617),
                audio_id=cls.audio.id,
                request_id=f"list-{uuid.uuid4()}",
                schedule_time=timestamp(3600),
                labels={"index": str(index), "kind": "listed"},
            )
            for index in range(7)
        ]
        cls.ended = [
            cls.client.until_end(
                cls.client.create(cls.use_case.id, fictional(code, area=617), audio_id=cls.audio.id).id
            )
            for code in (0, 50)
        ]

    def ids(self, **filters) -> list[str]:
        filters.setdefault("use_case_id", self.use_case.id)
        return [voicemail.id for voicemail in self.client.list(**filters)]

    def test_newest_first_without_attempts(self) -> None:
        listed = self.client.list(use_case_id=self.use_case.id)
        made = [voicemail.id for voicemail in self.sent + self.ended]
        self.assertEqual([voicemail.id for voicemail in listed], made[::-1])
        self.assertTrue(all(not voicemail.attempts for voicemail in listed))

    def test_each_filter(self) -> None:
        third, delivered, full = self.sent[3], self.ended[0], self.ended[1]
        all_of_them = [voicemail.id for voicemail in self.sent + self.ended][::-1]
        waiting = [voicemail.id for voicemail in self.sent][::-1]
        cases = {
            "setup_id": (dict(setup_id=self.setup.id), all_of_them),
            "statuses": (dict(statuses=[vm.VOICEMAIL_STATUS_ACCEPTED]), waiting),
            "two statuses": (
                dict(statuses=[vm.VOICEMAIL_STATUS_DELIVERED, vm.VOICEMAIL_STATUS_NOT_DELIVERED]),
                [full.id, delivered.id],
            ),
            "failure_reasons": (dict(failure_reasons=[vm.FAILURE_REASON_MAILBOX_FULL]), [full.id]),
            "recipient": (dict(recipient_phone_number=third.recipient_phone_number), [third.id]),
            "request_id": (dict(request_id=third.request_id), [third.id]),
            "labels": (dict(labels={"index": "3", "kind": "listed"}), [third.id]),
            "labels, all of": (dict(labels={"index": "3", "kind": "other"}), []),
            "create_time_from": (
                dict(create_time_from=third.create_time),
                all_of_them[: all_of_them.index(third.id) + 1],
            ),
            "create_time_to": (dict(create_time_to=third.create_time), all_of_them[all_of_them.index(third.id) + 1 :]),
            "end_time_from": (dict(end_time_from=full.end_time), [full.id]),
            "end_time_to": (dict(end_time_to=full.end_time), [delivered.id]),
            "update_time_from": (dict(update_time_from=full.update_time), [full.id]),
            "two at once": (dict(statuses=[vm.VOICEMAIL_STATUS_ACCEPTED], labels={"index": "5"}), [self.sent[5].id]),
        }
        for name, (filters, wanted) in cases.items():
            with self.subTest(name):
                self.assertEqual(self.ids(**filters), wanted)
        with self.subTest("sender_phone_number"):
            by_sender = [self.ids(sender_phone_number=number.phone_number) for number in self.numbers]
            self.assertEqual(sorted(by_sender[0] + by_sender[1]), sorted(all_of_them))

    def test_paging_shows_each_once_also_when_page_size_changes(self) -> None:
        request = api.ListVoicemailsRequest(use_case_id=self.use_case.id)
        seen: list[str] = []
        for page_size in (2, 3, 1, 50):
            request.page_size = page_size
            answer = self.client.voicemails.ListVoicemails(request, timeout=DEADLINE)
            self.assertLessEqual(len(answer.voicemails), page_size)
            seen += [voicemail.id for voicemail in answer.voicemails]
            request.page_token = answer.next_page_token
        self.assertEqual(request.page_token, "")
        self.assertEqual(seen, self.ids())

    def test_a_page_token_is_bound_to_its_filters(self) -> None:
        token = self.client.voicemails.ListVoicemails(
            api.ListVoicemailsRequest(use_case_id=self.use_case.id, page_size=2), timeout=DEADLINE
        ).next_page_token
        middle = len(token) // 2
        forged = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
        for filters in (
            dict(use_case_id=self.use_case.id, page_token=forged),
            dict(page_token=token),
            dict(page_token="nonsense"),
        ):
            with self.subTest(filters):
                self.refused("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN", lambda: self.client.list(**filters))

    def test_page_sizes(self) -> None:
        self.refused("INVALID_ARGUMENT", "INVALID_FIELD", lambda: self.client.list(page_size=-1))
        self.assertEqual(len(self.ids(page_size=5000)), 9)


class Report(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        audio = cls.client.upload(another_mp3())
        sent = [
            cls.client.create(cls.use_case.id, fictional(code, area=718), audio_id=audio.id)
            for code in (0, 1, 50, 60, 61)
        ]
        for voicemail in sent:
            cls.client.until_end(voicemail.id)
        cls.client.create(cls.use_case.id, fictional(2, area=718), audio_id=audio.id, schedule_time=timestamp(3600))

    def report(self, **arguments):
        given = dict(start_time=timestamp(-3600), end_time=timestamp(3600), use_case_id=self.use_case.id) | arguments
        return self.client.voicemails.GetDeliveryReport(api.GetDeliveryReportRequest(**given), timeout=DEADLINE)

    def test_counts_and_rate(self) -> None:
        total = self.report(include_simulated=True).total
        counts = {
            vm.VoicemailStatus.Name(each.status).removeprefix("VOICEMAIL_STATUS_"): each.count
            for each in total.status_counts
            if each.count
        }
        self.assertEqual(counts, {"DELIVERED": 2, "NOT_DELIVERED": 1, "FAILED": 1, "SKIPPED": 1, "ACCEPTED": 1})
        self.assertEqual((total.total, total.in_flight, total.unconfirmed), (6, 1, 0))
        self.assertAlmostEqual(total.delivery_rate, 2 / 4)
        self.assertTrue(total.HasField("median_delivery_time"))
        self.assertLessEqual(total.median_delivery_time.ToNanoseconds(), total.p95_delivery_time.ToNanoseconds())

    def test_all_simulated_ones_count_also_without_the_flag(self) -> None:
        self.assertEqual(self.report().total, self.report(include_simulated=True).total)

    def test_every_grouping_sums_up_to_the_total(self) -> None:
        for name in api.ReportDimension.keys()[1:]:
            with self.subTest(name):
                report = self.report(include_simulated=True, group_by=[name], time_zone="America/New_York")
                self.assertEqual(sum(group.total for group in report.groups), 6)
                self.assertEqual(report.total.total, 6)

    def test_grouped_by_failure_reason(self) -> None:
        report = self.report(include_simulated=True, group_by=[api.REPORT_DIMENSION_FAILURE_REASON])
        counts = {
            vm.FailureReason.Name(group.failure_reason).removeprefix("FAILURE_REASON_"): group.total
            for group in report.groups
        }
        self.assertEqual(counts, {"UNSPECIFIED": 3, "MAILBOX_FULL": 1, "INVALID_NUMBER": 1, "NOT_MOBILE": 1})

    def test_no_rate_where_nothing_has_ended(self) -> None:
        total = self.report(include_simulated=True, statuses=[vm.VOICEMAIL_STATUS_ACCEPTED]).total
        self.assertEqual(total.total, 1)
        self.assertFalse(total.HasField("delivery_rate"))

    def test_bad_arguments(self) -> None:
        for arguments in (
            dict(start_time=timestamp(3600), end_time=timestamp(0)),
            dict(start_time=timestamp(-401 * 86400)),
            dict(time_zone="Nowhere/Land"),
        ):
            with self.subTest(arguments):
                self.refused("INVALID_ARGUMENT", "INVALID_FIELD", lambda: self.report(**arguments))
