-- The nonces of signed requests of operators, while their signatures are good: each counts once, over all processes.

create table signed_nonce (
    nonce   text primary key,
    use     text not null, -- a value of its own for each attempt to use it
    ends_at integer not null -- when it may be forgotten, seconds since 1970-01-01 UTC
) strict, without rowid;

create index signed_nonce_by_end on signed_nonce (ends_at);
