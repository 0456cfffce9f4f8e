-- The operators beside the one that is configured.

create table operator (
    name          text collate "C" primary key,
    role          text   not null, -- viewer, operator or owner
    password_hash text   not null, -- argon2, in the PHC format
    created_at    bigint not null, -- Unix seconds
    revision      text   not null  -- another one after each change
);
