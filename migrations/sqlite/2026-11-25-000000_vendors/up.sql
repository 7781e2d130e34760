-- Carriers of vendors: they speak of a hand-over under its token, fetch or are given audio, and charge.

-- SHA-256 of the token in the callback address; none: the carrier has no door to us.
ALTER TABLE hand_overs ADD COLUMN token_hash BLOB;
-- The carrier had taken it and did not try: what comes next is another hand-over, under a new key.
ALTER TABLE hand_overs ADD COLUMN void INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX hand_overs_by_token ON hand_overs (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX hand_overs_by_reference ON hand_overs (carrier, reference) WHERE reference <> '';

-- What the carrier charged, in millionths of the currency's unit; none: it did not say.
ALTER TABLE attempts ADD COLUMN cost_micros INTEGER;
ALTER TABLE attempts ADD COLUMN cost_currency TEXT NOT NULL DEFAULT '';

-- Audio that an account with a carrier was given once for all, and what its requests name it by.
CREATE TABLE carrier_uploads (
    account TEXT NOT NULL,
    audio_id BLOB NOT NULL REFERENCES audios (id) ON DELETE CASCADE,
    reference TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (account, audio_id)
) STRICT;
CREATE INDEX carrier_uploads_by_audio ON carrier_uploads (audio_id);

-- Callbacks as they came, kept before they are read.
CREATE TABLE callbacks (
    hand_over_id BLOB NOT NULL REFERENCES hand_overs (id) ON DELETE CASCADE,
    -- From 1, in the order in which they came.
    number INTEGER NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    receive_time INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    query TEXT NOT NULL,
    body BLOB NOT NULL,
    -- What it said, as it was read; none: it has not been read.
    said TEXT,
    PRIMARY KEY (hand_over_id, number)
) STRICT;
CREATE INDEX callbacks_unread ON callbacks (receive_time) WHERE said IS NULL;

-- Events of carriers' account webhooks, each once.
CREATE TABLE webhook_events (
    carrier TEXT NOT NULL,
    event_id TEXT NOT NULL,
    receive_time INTEGER NOT NULL,
    body BLOB NOT NULL,
    -- The hand-over that it was about; none: it could not be told.
    hand_over_id BLOB REFERENCES hand_overs (id) ON DELETE SET NULL,
    -- What it said, as it was heard; empty: it has not been heard yet.
    said TEXT NOT NULL,
    PRIMARY KEY (carrier, event_id)
) STRICT;
CREATE INDEX webhook_events_by_time ON webhook_events (receive_time);
CREATE INDEX webhook_events_by_hand_over ON webhook_events (hand_over_id) WHERE hand_over_id IS NOT NULL;

INSERT INTO sweeps (name, next_time) VALUES ('webhook_events', 0);
