-- Counts of ended voicemails, which reports read in place of the voicemails themselves. An end costs one row of
-- ended_changes, written by a trigger in its transaction, so that no two wait for one another; a sweep adds them to
-- ended_counts now and then. A report reads both.

CREATE TABLE ended_changes (
    id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    workspace_id BIGINT NOT NULL,
    -- Of create_time: whole hours since 1970.
    hour BIGINT NOT NULL,
    use_case_id UUID NOT NULL,
    setup_id UUID NOT NULL,
    sender TEXT NOT NULL,
    carrier TEXT NOT NULL,
    failure_reason SMALLINT,
    status SMALLINT NOT NULL,
    simulated BOOLEAN NOT NULL,
    latency_bucket SMALLINT,
    -- How many more there are of this kind, or fewer.
    count BIGINT NOT NULL
);

CREATE TABLE ended_counts (
    workspace_id BIGINT NOT NULL,
    -- Each voicemail is counted once at each grain. 1: by hour and sender, 2: by hour, 3: by UTC day and sender, 4: by UTC day.
    grain SMALLINT NOT NULL,
    -- With which the hour or the day begins.
    hour BIGINT NOT NULL,
    use_case_id UUID NOT NULL,
    setup_id UUID NOT NULL,
    -- Empty where all of them are counted together.
    sender TEXT NOT NULL,
    carrier TEXT NOT NULL,
    -- 0: none.
    failure_reason SMALLINT NOT NULL,
    status SMALLINT NOT NULL,
    simulated BOOLEAN NOT NULL,
    count BIGINT NOT NULL,
    -- A JSON array of [latency_bucket, count].
    latencies TEXT NOT NULL,
    PRIMARY KEY (workspace_id, grain, hour, use_case_id, setup_id, sender, carrier, failure_reason, status, simulated)
);

-- Those that have ended already.
INSERT INTO ended_counts (workspace_id, grain, hour, use_case_id, setup_id, sender, carrier, failure_reason, status, simulated, count, latencies)
    WITH by_hour AS MATERIALIZED (
        SELECT workspace_id, floor(extract(epoch FROM create_time) / 3600)::bigint AS hour, use_case_id, setup_id, sender, carrier,
            coalesce(failure_reason, 0) AS failure_reason, status, simulated, latency_bucket, count(*) AS count
        FROM voicemails WHERE status > 3
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    ), by_grain AS (
        SELECT workspace_id, grain, CASE WHEN grain >= 3 THEN hour - hour % 24 ELSE hour END AS hour, use_case_id, setup_id,
            CASE WHEN grain IN (2, 4) THEN '' ELSE sender END AS sender, carrier, failure_reason, status, simulated, latency_bucket,
            sum(count)::bigint AS count
        FROM by_hour CROSS JOIN (VALUES (1), (2), (3), (4)) AS grains (grain)
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    )
    SELECT workspace_id, grain, hour, use_case_id, setup_id, sender, carrier, failure_reason, status, simulated, sum(count)::bigint,
        coalesce(json_agg(json_build_array(latency_bucket, count)) FILTER (WHERE latency_bucket IS NOT NULL), '[]')::text
    FROM by_grain
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;

-- What is above 3 has ended: the first three are ACCEPTED, SENDING and SENT.
CREATE FUNCTION note_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (
        OLD.workspace_id, OLD.create_time, OLD.use_case_id, OLD.setup_id, OLD.sender, OLD.carrier,
        OLD.failure_reason, OLD.status, OLD.simulated, OLD.latency_bucket
    ) IS NOT DISTINCT FROM (
        NEW.workspace_id, NEW.create_time, NEW.use_case_id, NEW.setup_id, NEW.sender, NEW.carrier,
        NEW.failure_reason, NEW.status, NEW.simulated, NEW.latency_bucket
    ) THEN
        RETURN NULL;
    END IF;
    IF OLD.status > 3 THEN
        INSERT INTO ended_changes (workspace_id, hour, use_case_id, setup_id, sender, carrier, failure_reason, status, simulated, latency_bucket, count)
            VALUES (OLD.workspace_id, floor(extract(epoch FROM OLD.create_time) / 3600)::bigint, OLD.use_case_id, OLD.setup_id, OLD.sender,
                OLD.carrier, OLD.failure_reason, OLD.status, OLD.simulated, OLD.latency_bucket, -1);
    END IF;
    IF NEW.status > 3 THEN
        INSERT INTO ended_changes (workspace_id, hour, use_case_id, setup_id, sender, carrier, failure_reason, status, simulated, latency_bucket, count)
            VALUES (NEW.workspace_id, floor(extract(epoch FROM NEW.create_time) / 3600)::bigint, NEW.use_case_id, NEW.setup_id, NEW.sender,
                NEW.carrier, NEW.failure_reason, NEW.status, NEW.simulated, NEW.latency_bucket, 1);
    END IF;
    RETURN NULL;
END $$;

-- For each row, so that the condition alone is looked at where nothing ends: transition tables would be filled at every
-- claim. It is short because it is read anew in each statement.
CREATE TRIGGER note_ended_insert AFTER INSERT ON voicemails FOR EACH ROW WHEN (NEW.status > 3) EXECUTE FUNCTION note_ended();
CREATE TRIGGER note_ended_delete AFTER DELETE ON voicemails FOR EACH ROW WHEN (OLD.status > 3) EXECUTE FUNCTION note_ended();
CREATE TRIGGER note_ended_update AFTER UPDATE ON voicemails FOR EACH ROW WHEN (OLD.status > 3 OR NEW.status > 3)
    EXECUTE FUNCTION note_ended();

INSERT INTO sweeps (name, next_time) VALUES ('ended_changes', '1970-01-01T00:00:00Z');
