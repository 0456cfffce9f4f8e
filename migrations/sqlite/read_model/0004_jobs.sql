-- Background jobs, and what they need to know of the images of a pass.

alter table wallet_pass_content add column assets text not null default '{}'; -- JSON: the images of its own, file name -> digest

-- Passes whose images were resolved before the images they fall back to changed, and written afterwards.
create table wallet_outdated_pass (
    pass_type_identifier text not null,
    serial_number        text not null,
    primary key (pass_type_identifier, serial_number)
) strict, without rowid;

create table wallet_job (
    job_id               text    primary key,
    position             integer not null, -- log position of what was asked for: jobs run in this order
    kind                 text    not null,
    organization_id      text,             -- whose it is; none for an operator's
    pass_type_identifier text,
    state                text    not null,
    cursor               text,             -- the last pass that is done
    total                integer,          -- passes to look at, unknown until it has been started
    done                 integer not null,
    failed               integer not null,
    failures             text    not null, -- JSON: the first failures in words
    started_at           integer,          -- Unix seconds
    finished_at          integer,          -- Unix seconds
    sequence             integer not null
) strict, without rowid;
create index wallet_job_unfinished on wallet_job (position) where finished_at is null;
