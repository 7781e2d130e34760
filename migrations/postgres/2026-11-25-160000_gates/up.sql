-- The gates that a voicemail passes at the moment of sending: where its recipient is, what holds it, and what
-- each look at the gates found.

-- The gate that holds it until next_time; none: it waits for something else.
ALTER TABLE voicemails ADD COLUMN hold_gate SMALLINT;
-- Where the caller says that the recipient is; empty: it did not say.
ALTER TABLE voicemails ADD COLUMN time_zone TEXT NOT NULL DEFAULT '';
ALTER TABLE voicemails ADD COLUMN postal_code TEXT NOT NULL DEFAULT '';

CREATE TABLE gate_checks (
    voicemail_id UUID NOT NULL REFERENCES voicemails (id) ON DELETE CASCADE,
    -- From 1, in order.
    number INTEGER NOT NULL,
    workspace_id BIGINT NOT NULL REFERENCES workspaces (id),
    check_time TIMESTAMPTZ NOT NULL,
    -- When the same was found the last time in a row.
    last_time TIMESTAMPTZ NOT NULL,
    -- A JSON array of what each gate found.
    findings TEXT NOT NULL,
    -- The versions of the tables that were judged by.
    rules_version TEXT NOT NULL,
    PRIMARY KEY (voicemail_id, number)
);
