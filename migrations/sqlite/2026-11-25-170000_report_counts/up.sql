-- Counts of ended voicemails, which reports read in place of the voicemails themselves. An end costs one row of
-- ended_changes, written by a trigger in its transaction; a sweep adds them to ended_counts now and then. A report
-- reads both.

CREATE TABLE ended_changes (
    id INTEGER PRIMARY KEY NOT NULL,
    workspace_id INTEGER NOT NULL,
    -- Of create_time: whole hours since 1970.
    hour INTEGER NOT NULL,
    use_case_id BLOB NOT NULL,
    setup_id BLOB NOT NULL,
    sender TEXT NOT NULL,
    carrier TEXT NOT NULL,
    failure_reason INTEGER,
    status INTEGER NOT NULL,
    simulated INTEGER NOT NULL,
    latency_bucket INTEGER,
    -- How many more there are of this kind, or fewer.
    count INTEGER NOT NULL
) STRICT;

CREATE TABLE ended_counts (
    workspace_id INTEGER NOT NULL,
    -- Each voicemail is counted once at each grain. 1: by hour and sender, 2: by hour, 3: by UTC day and sender, 4: by UTC day.
    grain INTEGER NOT NULL,
    -- With which the hour or the day begins.
    hour INTEGER NOT NULL,
    use_case_id BLOB NOT NULL,
    setup_id BLOB NOT NULL,
    -- Empty where all of them are counted together.
    sender TEXT NOT NULL,
    carrier TEXT NOT NULL,
    -- 0: none.
    failure_reason INTEGER NOT NULL,
    status INTEGER NOT NULL,
    simulated INTEGER NOT NULL,
    count INTEGER NOT NULL,
    -- A JSON array of [latency_bucket, count].
    latencies TEXT NOT NULL,
    PRIMARY KEY (workspace_id, grain, hour, use_case_id, setup_id, sender, carrier, failure_reason, status, simulated)
) STRICT, WITHOUT ROWID;

-- Those that have ended already.
INSERT INTO ended_counts (workspace_id, grain, hour, use_case_id, setup_id, sender, carrier, failure_reason, status, simulated, count, latencies)
    WITH by_hour AS MATERIALIZED (
        SELECT workspace_id, create_time / 3600000000 AS hour, use_case_id, setup_id, sender, carrier,
            coalesce(failure_reason, 0) AS failure_reason, status, simulated, latency_bucket, count(*) AS count
        FROM voicemails WHERE status > 3
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    ), grains (grain) AS (
        VALUES (1), (2), (3), (4)
    ), by_grain AS (
        SELECT workspace_id, grain, CASE WHEN grain >= 3 THEN hour - hour % 24 ELSE hour END AS hour, use_case_id, setup_id,
            CASE WHEN grain IN (2, 4) THEN '' ELSE sender END AS sender, carrier, failure_reason, status, simulated, latency_bucket,
            sum(count) AS count
        FROM by_hour CROSS JOIN grains
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    )
    SELECT workspace_id, grain, hour, use_case_id, setup_id, sender, carrier, failure_reason, status, simulated, sum(count),
        json_group_array(json_array(latency_bucket, count)) FILTER (WHERE latency_bucket IS NOT NULL)
    FROM by_grain
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;

-- What is above 3 has ended: the first three are ACCEPTED, SENDING and SENT.
CREATE TRIGGER note_ended_insert AFTER INSERT ON voicemails WHEN NEW.status > 3
BEGIN
    INSERT INTO ended_changes (workspace_id, hour, use_case_id, setup_id, sender, carrier, failure_reason, status, simulated, latency_bucket, count)
        VALUES (NEW.workspace_id, NEW.create_time / 3600000000, NEW.use_case_id, NEW.setup_id, NEW.sender,
            NEW.carrier, NEW.failure_reason, NEW.status, NEW.simulated, NEW.latency_bucket, 1);
END;
CREATE TRIGGER note_ended_delete AFTER DELETE ON voicemails WHEN OLD.status > 3
BEGIN
    INSERT INTO ended_changes (workspace_id, hour, use_case_id, setup_id, sender, carrier, failure_reason, status, simulated, latency_bucket, count)
        VALUES (OLD.workspace_id, OLD.create_time / 3600000000, OLD.use_case_id, OLD.setup_id, OLD.sender,
            OLD.carrier, OLD.failure_reason, OLD.status, OLD.simulated, OLD.latency_bucket, -1);
END;
CREATE TRIGGER note_ended_update AFTER UPDATE ON voicemails
    WHEN (OLD.status > 3 OR NEW.status > 3) AND (
        OLD.workspace_id, OLD.create_time, OLD.use_case_id, OLD.setup_id, OLD.sender, OLD.carrier,
        OLD.failure_reason, OLD.status, OLD.simulated, OLD.latency_bucket
    ) IS NOT (
        NEW.workspace_id, NEW.create_time, NEW.use_case_id, NEW.setup_id, NEW.sender, NEW.carrier,
        NEW.failure_reason, NEW.status, NEW.simulated, NEW.latency_bucket
    )
BEGIN
    INSERT INTO ended_changes (workspace_id, hour, use_case_id, setup_id, sender, carrier, failure_reason, status, simulated, latency_bucket, count)
        SELECT OLD.workspace_id, OLD.create_time / 3600000000, OLD.use_case_id, OLD.setup_id, OLD.sender,
            OLD.carrier, OLD.failure_reason, OLD.status, OLD.simulated, OLD.latency_bucket, -1
        WHERE OLD.status > 3;
    INSERT INTO ended_changes (workspace_id, hour, use_case_id, setup_id, sender, carrier, failure_reason, status, simulated, latency_bucket, count)
        SELECT NEW.workspace_id, NEW.create_time / 3600000000, NEW.use_case_id, NEW.setup_id, NEW.sender,
            NEW.carrier, NEW.failure_reason, NEW.status, NEW.simulated, NEW.latency_bucket, 1
        WHERE NEW.status > 3;
END;

INSERT INTO sweeps (name, next_time) VALUES ('ended_changes', 0);
