-- How many refused requests a record stands for, where that is more than one.
ALTER TABLE records ADD COLUMN requests INTEGER;

-- Counting open questions, of one subject or of all, must not read the questions themselves, which
-- have bodies in them.
CREATE INDEX approvals_pending ON approvals (subject, expires_at) WHERE state = 'pending';
