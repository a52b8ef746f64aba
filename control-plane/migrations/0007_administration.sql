-- Who administered the control plane, and who read what it keeps of others. Rows are only ever added.
CREATE TABLE administration (
    number  INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    by      TEXT    NOT NULL,               -- subject
    token   TEXT,                           -- id of the API token that was used
    act     TEXT    NOT NULL,
    object  TEXT    NOT NULL,               -- id of what it was done to
    details TEXT    NOT NULL                -- JSON object
) STRICT;
