-- When API keys end by themselves.

alter table wallet_api_key add column expires_at bigint; -- Unix seconds from which on it is refused; null for a key that does not end
alter table wallet_api_key add column expiry_sequence bigint not null default 0; -- sequence of the event that gave it this end
