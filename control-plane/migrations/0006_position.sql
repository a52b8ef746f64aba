-- The order of storing, for those who follow the trail: each change of a record takes the next position.
CREATE TABLE trail (
    position INTEGER NOT NULL               -- of the last change
) STRICT;
ALTER TABLE records ADD COLUMN position INTEGER NOT NULL DEFAULT 0;
-- Records that are there already keep the order in which they came.
UPDATE records SET position = rowid;
INSERT INTO trail (position) SELECT coalesce(max(position), 0) FROM records;
CREATE UNIQUE INDEX records_by_position ON records (position);
