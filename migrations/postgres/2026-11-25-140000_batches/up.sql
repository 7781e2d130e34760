-- Batches: many recipients of one use case and one audio, repeatable as a whole by the caller's id.

CREATE TABLE batches (
    workspace_id BIGINT NOT NULL REFERENCES workspaces (id),
    batch_id TEXT NOT NULL,
    -- SHA-256 of all that was asked for, to tell a repeat from a mistake.
    content_hash BYTEA NOT NULL,
    use_case_id UUID NOT NULL REFERENCES use_cases (id),
    -- No reference: where every recipient was refused, no voicemail names the audio and it is dropped in its time.
    audio_id UUID NOT NULL,
    recipient_count INTEGER NOT NULL,
    create_time TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, batch_id)
);

-- The voicemails that a batch made, each written in one transaction with its voicemail.
CREATE TABLE batch_members (
    workspace_id BIGINT NOT NULL,
    batch_id TEXT NOT NULL,
    -- The recipient's place in the call, from 0.
    number INTEGER NOT NULL,
    voicemail_id UUID NOT NULL REFERENCES voicemails (id) ON DELETE CASCADE,
    PRIMARY KEY (workspace_id, batch_id, number),
    FOREIGN KEY (workspace_id, batch_id) REFERENCES batches (workspace_id, batch_id)
);
CREATE UNIQUE INDEX batch_members_by_voicemail ON batch_members (voicemail_id);
