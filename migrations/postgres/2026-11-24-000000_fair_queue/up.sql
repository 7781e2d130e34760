-- A queue with a lane for each use case, limits and pauses of setups, breakers of carriers.

-- 0: no limit.
ALTER TABLE setups ADD COLUMN starts_per_minute INTEGER NOT NULL DEFAULT 0;
ALTER TABLE setups ADD COLUMN in_flight_max INTEGER NOT NULL DEFAULT 0;
-- The next free slot of a setup that has a pace; its row is locked while slots are taken.
ALTER TABLE setups ADD COLUMN next_start_time TIMESTAMPTZ NOT NULL DEFAULT '1970-01-01T00:00:00Z';
-- Why the engine has stopped its queue; none: it has not.
ALTER TABLE setups ADD COLUMN pause_reason SMALLINT;
ALTER TABLE setups ADD COLUMN pause_carrier TEXT NOT NULL DEFAULT '';
ALTER TABLE setups ADD COLUMN pause_time TIMESTAMPTZ;

-- The carriers that fail again and again: one row while the breaker is open.
CREATE TABLE breakers (
    carrier TEXT PRIMARY KEY NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    -- From then on one call may try.
    next_trial_time TIMESTAMPTZ NOT NULL,
    -- Trials that failed.
    trials INTEGER NOT NULL
);

-- Work that one process does now and then for all: who moves the time does it.
CREATE TABLE sweeps (
    name TEXT PRIMARY KEY NOT NULL,
    next_time TIMESTAMPTZ NOT NULL
);
INSERT INTO sweeps (name, next_time) VALUES ('unused_audio', '1970-01-01T00:00:00Z');

-- From 1, over the hand-overs of a voicemail to one carrier; the id is derived from it.
ALTER TABLE hand_overs ADD COLUMN number INTEGER NOT NULL DEFAULT 1;

-- `held` now means: put aside until an operator says what shall become of it. What waits for its
-- setup is passed over instead, so it needs no mark of its own.
UPDATE voicemails SET held = FALSE, status_detail = '', next_time = due_time WHERE held;

-- The queue. ACCEPTED: a lane for each use case, and what is about to expire. SENDING and SENT: a
-- line each by time. What is under way is counted for each setup.
DROP INDEX voicemails_by_next_time;
DROP INDEX voicemails_held;
CREATE INDEX voicemails_waiting ON voicemails (use_case_id, next_time, id) WHERE status = 1 AND next_time IS NOT NULL;
CREATE INDEX voicemails_expiring ON voicemails (expire_time) WHERE status = 1 AND next_time IS NOT NULL;
CREATE INDEX voicemails_timers ON voicemails (status, next_time, id) WHERE status <> 1 AND next_time IS NOT NULL;
CREATE INDEX voicemails_under_way ON voicemails (setup_id) WHERE status = 2 AND lease_token IS NOT NULL;
CREATE INDEX voicemails_held ON voicemails (id) WHERE held;
