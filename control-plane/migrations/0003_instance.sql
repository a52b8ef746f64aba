-- Which database this is. The data directory remembers the same, so that it is noticed when the
-- database beside it is lost, another one, or an older copy of itself.
CREATE TABLE instance (
    only      INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    id        TEXT    NOT NULL,
    -- Goes up while the control plane runs; never ahead of it is what the data directory remembers.
    mark      INTEGER NOT NULL,
    -- Written to find out whether a write can be made durable.
    probed_at INTEGER NOT NULL
) STRICT;

-- How the database as a whole came to be as it is: begun, begun anew, adopted, restored.
CREATE TABLE instance_history (
    number INTEGER NOT NULL PRIMARY KEY,
    at     INTEGER NOT NULL,
    event  TEXT    NOT NULL,
    detail TEXT    NOT NULL
) STRICT;
