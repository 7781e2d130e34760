-- {size} voicemails over October 2026, in the order in which they came: 8 use cases of 3 setups, 40 senders, 1.5 million
-- recipients, nine in ten DELIVERED, labels on a tenth and batches of 10,000 for another. The newest few still wait. What
-- looks like chance is the number times a large one.
INSERT INTO setups (id, workspace_id, display_name, carriers, status, status_detail, create_time, update_time)
    SELECT unhex(printf('00000001000070008000%012x', n)), 1, 'Setup ' || n, '["sandbox"]', 2, '', start, start
    FROM (WITH RECURSIVE numbers (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 <= 2) SELECT n FROM numbers), (SELECT 1790812800000000 AS start);
INSERT INTO use_cases (id, workspace_id, channel, entity_name, name, description, setup_id, create_time, update_time)
    SELECT unhex(printf('00000002000070008000%012x', n)), 1, 1, 'Clinic', 'Use case ' || n, '',
        unhex(printf('00000001000070008000%012x', n % 3)), start, start
    FROM (WITH RECURSIVE numbers (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 <= 7) SELECT n FROM numbers), (SELECT 1790812800000000 AS start);
INSERT INTO phone_numbers (id, workspace_id, setup_id, phone_number, display_name, status, carriers, create_time, update_time)
    SELECT unhex(printf('00000003000070008000%012x', n)), 1,
        unhex(printf('00000001000070008000%012x', n % 3)), '+1212555' || (1000 + n), '', 1, '[]', start, start
    FROM (WITH RECURSIVE numbers (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 <= 39) SELECT n FROM numbers), (SELECT 1790812800000000 AS start);
INSERT INTO audios (id, workspace_id, sha256, size_bytes, duration_ms, create_time, last_used_time)
    SELECT unhex(printf('00000004000070008000%012x', n)), 1, CAST(printf('%032d', n) AS BLOB), 242000, 30000, start, start
    FROM (WITH RECURSIVE numbers (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 <= 7) SELECT n FROM numbers), (SELECT 1790812800000000 AS start);
INSERT INTO batches (workspace_id, batch_id, content_hash, use_case_id, audio_id, recipient_count, create_time)
    SELECT 1, 'batch-' || n, x'', x'00000002000070008000000000000000', x'00000004000070008000000000000000', 10000, start
    FROM (WITH RECURSIVE numbers (n) AS (VALUES (0) UNION ALL SELECT n + 10 FROM numbers WHERE n + 10 <= {size} / 10000) SELECT n FROM numbers), (SELECT 1790812800000000 AS start);
INSERT INTO voicemails (id, workspace_id, use_case_id, setup_id, sender_id, sender, recipient, status, failure_reason, status_detail,
        simulated, audio_id, labels, request_id, request_hash, create_time, update_time, expire_time, due_time, end_time, next_time,
        held, tries, attempt_count, carrier, latency_bucket)
    SELECT unhex(printf('00000005000070008000%012x', n)), 1,
        unhex('0000000200007000800000000000000' || (use_case)), unhex('0000000100007000800000000000000' || (use_case % 3)),
        unhex(printf('00000003000070008000%012x', sender)), '+1212555' || (1000 + sender), '+1212' || recipient,
        status,
        CASE status WHEN 5 THEN 1 + luck % 6 WHEN 6 THEN 8 + luck % 2 * 2 WHEN 7 THEN 16 + luck % 2 * 6 END, '', 0,
        unhex('0000000400007000800000000000000' || (use_case)),
        CASE WHEN n % 10 = 3 THEN '{"ward":"w' || luck || '"}' ELSE '{}' END, 'r' || printf('%09d', n), hash, came,
        came + took, came + 259200000000, came, CASE WHEN status > 3 THEN came + took END,
        CASE WHEN status = 1 THEN came END, 0, 0, CASE status WHEN 1 THEN 0 ELSE 1 END,
        CASE status WHEN 1 THEN '' ELSE 'sandbox' END, CASE status WHEN 4 THEN bucket END
    FROM (
        SELECT n, use_case, sender, recipient, luck, hash, bucket, 1790812800000000 + n * (2592000000000 / {size}) AS came,
            -- Nearly what stands behind a bucket: most within a minute, few within some minutes.
            (bucket - 150) * (bucket - 150) * 10000 AS took,
            CASE WHEN n >= {size} - min(2000, {size} / 10) THEN 1 WHEN outcome < 900 THEN 4 WHEN outcome < 940 THEN 5
                WHEN outcome < 960 THEN 6 WHEN outcome < 980 THEN 7 WHEN outcome < 990 THEN 8 ELSE 9 END AS status
        FROM (
            SELECT n, n * 1610612741 % 2147483647 % 1000 AS outcome, n * 805306457 % 2147483647 % 8 AS use_case,
                n * 402653189 % 2147483647 % 40 AS sender, 2000000 + n * 1103515245 % 2147483647 % 1500000 AS recipient,
                n * 1299709 % 2147483647 % 500 AS luck,
                151 + n * 201326611 % 2147483647 % 41 + n * 100663319 % 2147483647 % 41 + n * 50331653 % 2147483647 % 41 AS bucket,
                zeroblob(32) AS hash
            FROM (WITH RECURSIVE numbers (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 <= {size} - 1) SELECT n FROM numbers)
        ) AS drawn
    ) AS told;
INSERT INTO voicemail_labels (workspace_id, key, value, create_time, voicemail_id)
    SELECT 1, 'ward', labels ->> 'ward', create_time, id FROM voicemails WHERE labels <> '{}';
INSERT INTO batch_members (workspace_id, batch_id, number, voicemail_id, create_time)
    SELECT 1, 'batch-' || (n / 10000), n % 10000, unhex(printf('00000005000070008000%012x', n)),
        1790812800000000 + n * (2592000000000 / {size})
    FROM (WITH RECURSIVE numbers (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 <= {size} - 1) SELECT n FROM numbers) WHERE n / 10000 % 10 = 0;
