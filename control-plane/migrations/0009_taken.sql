-- Names of headers that did not go upstream as the agent wrote them.
ALTER TABLE records ADD COLUMN taken TEXT;  -- JSON list
