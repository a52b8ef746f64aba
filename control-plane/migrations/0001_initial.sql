-- Instants are milliseconds since the Unix epoch; digests and hashes are named by their function.

CREATE TABLE tokens (
    id          TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    "groups"    TEXT    NOT NULL,           -- JSON list
    role        TEXT    NOT NULL,
    sha256      BLOB    NOT NULL UNIQUE,    -- of the secret; the secret itself is stored nowhere
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    revoked_at  INTEGER
) STRICT;

CREATE TABLE policy_versions (
    version       INTEGER NOT NULL PRIMARY KEY,
    digest        TEXT    NOT NULL,         -- SHA-256 of `policy`
    document      TEXT    NOT NULL,         -- as written
    policy        TEXT    NOT NULL,         -- canonical JSON
    bundle_digest TEXT    NOT NULL,
    published_at  INTEGER NOT NULL,
    published_by  TEXT    NOT NULL,
    comment       TEXT,
    rollback_of   INTEGER REFERENCES policy_versions (version)
) STRICT;

-- One row per signed bundle: a policy version has several when key sets rotate.
CREATE TABLE bundles (
    policy_version INTEGER NOT NULL REFERENCES policy_versions (version),
    keys_revision  INTEGER NOT NULL,
    digest         TEXT    NOT NULL,
    envelope       TEXT    NOT NULL,        -- DSSE, JSON
    issued_at      INTEGER NOT NULL,
    PRIMARY KEY (policy_version, keys_revision)
) STRICT, WITHOUT ROWID;

-- One row per life of a node's VM.
CREATE TABLE nodes (
    id                    INTEGER NOT NULL PRIMARY KEY,
    boot                  TEXT    NOT NULL UNIQUE,
    name                  TEXT    NOT NULL,
    filter_version        TEXT,
    enforced_version      INTEGER,
    enforced_keys         INTEGER,
    refused               TEXT,
    first_seen_at         INTEGER NOT NULL,
    last_seen_at          INTEGER NOT NULL,
    closed                INTEGER NOT NULL DEFAULT 0,
    acknowledged          INTEGER NOT NULL DEFAULT 0,
    events                INTEGER NOT NULL DEFAULT 0,
    dropped               INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Numbers that a node gave out and that were never stored here.
CREATE TABLE gaps (
    node       INTEGER NOT NULL REFERENCES nodes (id),
    first      INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    PRIMARY KEY (node, first)
) STRICT, WITHOUT ROWID;

-- Clustered by node and number: a batch is appended in one place, and (node, seq) is what makes an
-- event sent twice harmless.
CREATE TABLE events (
    node      INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    record    TEXT    NOT NULL,
    stored_at INTEGER NOT NULL,
    json      TEXT    NOT NULL,             -- exactly as the node sent it
    PRIMARY KEY (node, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_by_record ON events (record);

-- What the events of a record add up to. Can be rebuilt from `events`.
CREATE TABLE records (
    id             TEXT    NOT NULL PRIMARY KEY,
    node           INTEGER NOT NULL,
    state          TEXT    NOT NULL,
    received_at    INTEGER NOT NULL,
    ended_at       INTEGER,
    issuer         TEXT,
    subject        TEXT,
    agent          TEXT,
    session        TEXT,
    "groups"       TEXT,                    -- JSON list
    connection     TEXT,
    operation      TEXT,
    attributes     TEXT,                    -- JSON object
    method         TEXT,
    host           TEXT,
    path           TEXT,
    query          TEXT,
    effect         TEXT,
    rule           TEXT,
    reason         TEXT,
    code           TEXT,
    approval       TEXT,
    approved_by    TEXT,
    policy_version INTEGER,
    request_id     TEXT,
    status         INTEGER,
    abort_cause    TEXT,
    decided_ms     INTEGER,
    first_byte_ms  INTEGER,
    total_ms       INTEGER,
    request_bytes  INTEGER,
    response_bytes INTEGER,
    masked         TEXT                     -- JSON object
) STRICT;
CREATE INDEX records_by_time ON records (received_at DESC, id DESC);
CREATE INDEX records_by_subject ON records (subject, received_at DESC) WHERE subject IS NOT NULL;
CREATE INDEX records_by_session ON records (session, received_at DESC) WHERE session IS NOT NULL;
CREATE INDEX records_by_approval ON records (approval) WHERE approval IS NOT NULL;

CREATE TABLE approvals (
    id            TEXT    NOT NULL PRIMARY KEY,
    state         TEXT    NOT NULL,
    -- What an approval is good for: the request's digest and the rule with its terms. A version
    -- with stricter terms asks anew.
    binding       TEXT    NOT NULL,         -- SHA-256
    question      TEXT    NOT NULL,         -- JSON: what approvers are shown
    subject       TEXT    NOT NULL,
    connection    TEXT    NOT NULL,
    rule          TEXT    NOT NULL,
    asked_at      INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    approved_at   INTEGER,
    grant_ends_at INTEGER,
    decided_at    INTEGER,
    spent_by      TEXT,                     -- record
    denial_told   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX approvals_by_time ON approvals (asked_at DESC, id DESC);
CREATE INDEX approvals_by_binding ON approvals (binding, state);
CREATE INDEX approvals_open ON approvals (state) WHERE state IN ('pending', 'approved');

CREATE TABLE approval_answers (
    approval TEXT    NOT NULL REFERENCES approvals (id),
    position INTEGER NOT NULL,
    by       TEXT    NOT NULL,
    answer   TEXT    NOT NULL,
    comment  TEXT,
    at       INTEGER NOT NULL,
    PRIMARY KEY (approval, position)
) STRICT, WITHOUT ROWID;

-- Which question a record waits for, and whether it was let through: asking again is harmless.
CREATE TABLE approval_records (
    record   TEXT    NOT NULL PRIMARY KEY,
    approval TEXT    NOT NULL REFERENCES approvals (id),
    granted  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX approval_records_by_approval ON approval_records (approval);
