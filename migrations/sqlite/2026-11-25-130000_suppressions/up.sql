-- Whom nothing is sent to, and who has agreed to be sent to.

-- Rows are kept when they are deleted, with who did it and why: they are evidence.
CREATE TABLE suppressions (
    id BLOB PRIMARY KEY NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    phone_number TEXT NOT NULL,
    -- 1: the workspace, 2: an entity, 3: a use case.
    scope INTEGER NOT NULL,
    -- The entity's name, or the use case's id; empty for the workspace.
    scope_key TEXT NOT NULL,
    reason INTEGER NOT NULL,
    source TEXT NOT NULL,
    actor TEXT NOT NULL,
    note TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    -- None: it holds for ever.
    expire_time INTEGER,
    delete_time INTEGER,
    delete_reason TEXT NOT NULL,
    delete_actor TEXT NOT NULL
) STRICT;
-- One of a kind at a time, and the way from a number to what holds for it.
CREATE UNIQUE INDEX suppressions_living ON suppressions (workspace_id, phone_number, scope, scope_key, reason) WHERE delete_time IS NULL;
CREATE INDEX suppressions_by_number ON suppressions (workspace_id, phone_number, create_time, id);
CREATE INDEX suppressions_by_time ON suppressions (workspace_id, create_time, id);

-- A consent is never changed but by its revocation, and never deleted.
CREATE TABLE consents (
    id BLOB PRIMARY KEY NOT NULL,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id),
    phone_number TEXT NOT NULL,
    -- As of suppressions.
    scope INTEGER NOT NULL,
    scope_key TEXT NOT NULL,
    -- 1: express, 2: written.
    kind INTEGER NOT NULL,
    text_shown TEXT NOT NULL,
    source TEXT NOT NULL,
    actor TEXT NOT NULL,
    -- When the person agreed, which may be long before it was recorded here.
    consent_time INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    -- When the person withdrew it; none: it stands.
    revoke_time INTEGER,
    revoke_reason TEXT NOT NULL,
    revoke_actor TEXT NOT NULL
) STRICT;
CREATE INDEX consents_by_number ON consents (workspace_id, phone_number, create_time, id);
CREATE INDEX consents_by_time ON consents (workspace_id, create_time, id);
