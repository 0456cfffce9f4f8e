-- The nonces of signed requests of operators, while their signatures are good: each counts once, over all processes.

create table signed_nonce (
    nonce   text collate "C" primary key,
    use     text collate "C" not null, -- a value of its own for each attempt to use it
    ends_at bigint not null -- when it may be forgotten, seconds since 1970-01-01 UTC
);

create index signed_nonce_by_end on signed_nonce (ends_at);
