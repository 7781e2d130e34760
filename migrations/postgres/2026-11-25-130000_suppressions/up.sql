-- Whom nothing is sent to, and who has agreed to be sent to.

-- Rows are kept when they are deleted, with who did it and why: they are evidence.
CREATE TABLE suppressions (
    id UUID PRIMARY KEY NOT NULL,
    workspace_id BIGINT NOT NULL REFERENCES workspaces (id),
    phone_number TEXT NOT NULL,
    -- 1: the workspace, 2: an entity, 3: a use case.
    scope SMALLINT NOT NULL,
    -- The entity's name, or the use case's id; empty for the workspace.
    scope_key TEXT NOT NULL,
    reason SMALLINT NOT NULL,
    source TEXT NOT NULL,
    actor TEXT NOT NULL,
    note TEXT NOT NULL,
    create_time TIMESTAMPTZ NOT NULL,
    update_time TIMESTAMPTZ NOT NULL,
    -- None: it holds for ever.
    expire_time TIMESTAMPTZ,
    delete_time TIMESTAMPTZ,
    delete_reason TEXT NOT NULL,
    delete_actor TEXT NOT NULL
);
-- One of a kind at a time, and the way from a number to what holds for it.
CREATE UNIQUE INDEX suppressions_living ON suppressions (workspace_id, phone_number, scope, scope_key, reason) WHERE delete_time IS NULL;
CREATE INDEX suppressions_by_number ON suppressions (workspace_id, phone_number, create_time, id);
CREATE INDEX suppressions_by_time ON suppressions (workspace_id, create_time, id);

-- A consent is never changed but by its revocation, and never deleted.
CREATE TABLE consents (
    id UUID PRIMARY KEY NOT NULL,
    workspace_id BIGINT NOT NULL REFERENCES workspaces (id),
    phone_number TEXT NOT NULL,
    -- As of suppressions.
    scope SMALLINT NOT NULL,
    scope_key TEXT NOT NULL,
    -- 1: express, 2: written.
    kind SMALLINT NOT NULL,
    text_shown TEXT NOT NULL,
    source TEXT NOT NULL,
    actor TEXT NOT NULL,
    -- When the person agreed, which may be long before it was recorded here.
    consent_time TIMESTAMPTZ NOT NULL,
    create_time TIMESTAMPTZ NOT NULL,
    -- When the person withdrew it; none: it stands.
    revoke_time TIMESTAMPTZ,
    revoke_reason TEXT NOT NULL,
    revoke_actor TEXT NOT NULL
);
CREATE INDEX consents_by_number ON consents (workspace_id, phone_number, create_time, id);
CREATE INDEX consents_by_time ON consents (workspace_id, create_time, id);
