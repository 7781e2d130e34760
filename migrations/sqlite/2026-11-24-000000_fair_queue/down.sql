-- Back to one line by time. What an operator was to decide about waits on, as it was held.
DROP INDEX voicemails_held;
DROP INDEX voicemails_under_way;
DROP INDEX voicemails_timers;
DROP INDEX voicemails_expiring;
DROP INDEX voicemails_waiting;
UPDATE voicemails SET next_time = expire_time WHERE held;
CREATE INDEX voicemails_by_next_time ON voicemails (next_time, id) WHERE next_time IS NOT NULL;
CREATE INDEX voicemails_held ON voicemails (setup_id) WHERE held;
ALTER TABLE hand_overs DROP COLUMN number;
DROP TABLE sweeps;
DROP TABLE breakers;
ALTER TABLE setups DROP COLUMN pause_time;
ALTER TABLE setups DROP COLUMN pause_carrier;
ALTER TABLE setups DROP COLUMN pause_reason;
ALTER TABLE setups DROP COLUMN next_start_time;
ALTER TABLE setups DROP COLUMN in_flight_max;
ALTER TABLE setups DROP COLUMN starts_per_minute;
