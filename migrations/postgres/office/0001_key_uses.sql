-- When each API key was last used. No event says so, so this does not belong into the read model.

create table key_use (
    key_digest text collate "C" primary key, -- SHA-256 of the key
    used_at    bigint           not null     -- Unix seconds, at most an hour before the last use
);
