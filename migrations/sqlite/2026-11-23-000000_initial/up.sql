-- The first schema. Ids are the 16 bytes of a UUIDv7, times are UTC microseconds since 1970.

-- The tenants. Every other row names one; until access control comes there is only `default`.
CREATE TABLE workspaces (
    id INTEGER PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO workspaces (id, name) VALUES (1, 'default');

-- Keys that this service makes for itself, such as the one that signs page tokens.
CREATE TABLE service_keys (
    name TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT;

-- Deleted setups, numbers and use cases stay as rows, because old voicemails name them.
CREATE TABLE setups (
    id BLOB PRIMARY KEY NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    display_name TEXT NOT NULL,
    -- A JSON array of carrier names, in order of preference.
    carriers TEXT NOT NULL,
    status INTEGER NOT NULL,
    status_detail TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    delete_time INTEGER
) STRICT;
CREATE INDEX setups_by_create_time ON setups (workspace_id, create_time, id) WHERE delete_time IS NULL;

CREATE TABLE phone_numbers (
    id BLOB PRIMARY KEY NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    setup_id BLOB NOT NULL REFERENCES setups (id),
    phone_number TEXT NOT NULL,
    display_name TEXT NOT NULL,
    status INTEGER NOT NULL,
    -- A JSON array of carrier names that it may be used with; empty: all of the setup's.
    carriers TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    delete_time INTEGER
) STRICT;
CREATE UNIQUE INDEX phone_numbers_living ON phone_numbers (workspace_id, phone_number) WHERE delete_time IS NULL;
CREATE INDEX phone_numbers_by_create_time ON phone_numbers (workspace_id, create_time, id) WHERE delete_time IS NULL;
CREATE INDEX phone_numbers_by_setup ON phone_numbers (setup_id, create_time, id) WHERE delete_time IS NULL;

CREATE TABLE use_cases (
    id BLOB PRIMARY KEY NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    channel INTEGER NOT NULL,
    entity_name TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    setup_id BLOB NOT NULL REFERENCES setups (id),
    purpose INTEGER,
    callback_phone_number TEXT,
    opt_out_phone_number TEXT,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    delete_time INTEGER
) STRICT;
CREATE UNIQUE INDEX use_cases_living ON use_cases (workspace_id, entity_name, name, channel) WHERE delete_time IS NULL;
CREATE INDEX use_cases_by_create_time ON use_cases (workspace_id, create_time, id) WHERE delete_time IS NULL;
CREATE INDEX use_cases_by_setup ON use_cases (setup_id, create_time, id) WHERE delete_time IS NULL;

CREATE TABLE use_case_phone_numbers (
    use_case_id BLOB NOT NULL REFERENCES use_cases (id),
    phone_number_id BLOB NOT NULL REFERENCES phone_numbers (id),
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    assign_time INTEGER NOT NULL,
    PRIMARY KEY (use_case_id, phone_number_id)
) STRICT;
CREATE INDEX use_case_phone_numbers_by_number ON use_case_phone_numbers (phone_number_id);

-- The request ids of creates (of sends: voicemails.request_id). `kind` is the resource's kind.
CREATE TABLE create_requests (
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    kind TEXT NOT NULL,
    request_id TEXT NOT NULL,
    resource_id BLOB NOT NULL,
    -- SHA-256 of what was asked for, to tell a repeat from a mistake.
    content_hash BLOB NOT NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, kind, request_id)
) STRICT;

-- Audio, once per workspace by content. The bytes stand apart, so that reading a list of
-- voicemails never touches them.
CREATE TABLE audios (
    id BLOB PRIMARY KEY NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    sha256 BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    -- Written at most once an hour, so that a campaign on one audio does not queue for its row.
    last_used_time INTEGER NOT NULL,
    UNIQUE (workspace_id, sha256)
) STRICT;
CREATE INDEX audios_by_last_use ON audios (last_used_time);

CREATE TABLE audio_bytes (
    audio_id BLOB PRIMARY KEY NOT NULL REFERENCES audios (id) ON DELETE CASCADE,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE voicemails (
    id BLOB PRIMARY KEY NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    use_case_id BLOB NOT NULL REFERENCES use_cases (id),
    setup_id BLOB NOT NULL REFERENCES setups (id),
    sender_id BLOB NOT NULL REFERENCES phone_numbers (id),
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    status INTEGER NOT NULL,
    failure_reason INTEGER,
    status_detail TEXT NOT NULL,
    simulated INTEGER NOT NULL,
    audio_id BLOB NOT NULL REFERENCES audios (id),
    -- A JSON object; voicemail_labels has the same for searching.
    labels TEXT NOT NULL,
    request_id TEXT,
    -- SHA-256 of what was asked for besides the audio, to tell a repeat from a mistake.
    request_hash BLOB NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    schedule_time INTEGER,
    expire_time INTEGER NOT NULL,
    due_time INTEGER NOT NULL,
    sent_time INTEGER,
    end_time INTEGER,
    -- When a worker may next touch the row. ACCEPTED: its time or next try; SENDING: the lease's
    -- end; SENT: the next question or the deadline; an end: none.
    next_time INTEGER,
    -- Put aside because its setup or carrier can't send just now; next_time is then expire_time.
    held INTEGER NOT NULL,
    lease_token BLOB,
    -- Tries that came to a passing error.
    tries INTEGER NOT NULL,
    attempt_count INTEGER NOT NULL,
    -- The carrier of the last attempt; empty before the first.
    carrier TEXT NOT NULL,
    -- From due to delivered, in logarithmic steps; see domain/report.rs.
    latency_bucket INTEGER,
    UNIQUE (workspace_id, request_id)
) STRICT;
-- The work queue: one index, one query over it.
CREATE INDEX voicemails_by_next_time ON voicemails (next_time, id) WHERE next_time IS NOT NULL;
CREATE INDEX voicemails_held ON voicemails (setup_id) WHERE held;
CREATE INDEX voicemails_by_audio ON voicemails (audio_id);
-- Lists: newest first by (create_time, id), one index for each filter.
CREATE INDEX voicemails_by_create_time ON voicemails (workspace_id, create_time, id);
CREATE INDEX voicemails_by_use_case ON voicemails (workspace_id, use_case_id, create_time, id);
CREATE INDEX voicemails_by_setup ON voicemails (workspace_id, setup_id, create_time, id);
CREATE INDEX voicemails_by_status ON voicemails (workspace_id, status, create_time, id);
CREATE INDEX voicemails_by_failure_reason ON voicemails (workspace_id, failure_reason, create_time, id) WHERE failure_reason IS NOT NULL;
CREATE INDEX voicemails_by_recipient ON voicemails (workspace_id, recipient, create_time, id);
CREATE INDEX voicemails_by_sender ON voicemails (workspace_id, sender, create_time, id);
CREATE INDEX voicemails_by_update_time ON voicemails (workspace_id, update_time);
CREATE INDEX voicemails_by_end_time ON voicemails (workspace_id, end_time) WHERE end_time IS NOT NULL;

CREATE TABLE voicemail_labels (
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    voicemail_id BLOB NOT NULL REFERENCES voicemails (id) ON DELETE CASCADE,
    PRIMARY KEY (workspace_id, key, value, create_time, voicemail_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX voicemail_labels_by_voicemail ON voicemail_labels (voicemail_id);

-- A voicemail given to one carrier account. Its id is the key that the carrier is told.
CREATE TABLE hand_overs (
    id BLOB PRIMARY KEY NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    voicemail_id BLOB NOT NULL REFERENCES voicemails (id) ON DELETE CASCADE,
    carrier TEXT NOT NULL,
    -- The full request, stored before the first call; a repeat sends it byte for byte.
    request BLOB NOT NULL,
    -- The carrier's own id of it, once known.
    reference TEXT NOT NULL,
    -- Since when the outcome of one of its calls is unknown.
    doubt_time INTEGER,
    -- Questions asked about it so far.
    asks INTEGER NOT NULL,
    create_time INTEGER NOT NULL
) STRICT;
CREATE INDEX hand_overs_by_voicemail ON hand_overs (voicemail_id, create_time);

-- One call of a hand-over, written down before it begins.
CREATE TABLE attempts (
    voicemail_id BLOB NOT NULL REFERENCES voicemails (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    hand_over_id BLOB NOT NULL REFERENCES hand_overs (id) ON DELETE CASCADE,
    carrier TEXT NOT NULL,
    start_time INTEGER NOT NULL,
    end_time INTEGER,
    outcome INTEGER,
    failure_reason INTEGER,
    carrier_reference TEXT NOT NULL,
    carrier_code TEXT NOT NULL,
    carrier_detail TEXT NOT NULL,
    late_outcome TEXT NOT NULL,
    PRIMARY KEY (voicemail_id, number)
) STRICT;
