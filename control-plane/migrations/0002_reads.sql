-- The highest revision of the policy language that a node reads, as it says in each poll. Filters
-- from before they said so read the first.
ALTER TABLE nodes ADD COLUMN reads INTEGER NOT NULL DEFAULT 1;
