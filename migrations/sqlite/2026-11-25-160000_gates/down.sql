-- What each look at the gates found is gone with this, and what they hold waits for its next_time all the same.
DROP TABLE gate_checks;
ALTER TABLE voicemails DROP COLUMN postal_code;
ALTER TABLE voicemails DROP COLUMN time_zone;
ALTER TABLE voicemails DROP COLUMN hold_gate;
