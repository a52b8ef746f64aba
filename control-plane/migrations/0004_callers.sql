-- Where a request came from: the address as the node's Envoy trusts it, and the user agent.
ALTER TABLE records ADD COLUMN source TEXT;
ALTER TABLE records ADD COLUMN user_agent TEXT;
