-- What the holders of API keys may do.

alter table wallet_api_key add column scopes text; -- JSON; null for a key that was made without
alter table wallet_api_key add column scopes_sequence integer not null default 0; -- sequence of the event that gave it these
