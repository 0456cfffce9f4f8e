-- Background jobs, and what they need to know of the images of a pass.

alter table wallet_pass_content add column assets jsonb not null default '{}'; -- the images of its own, file name -> digest

-- Passes whose images were resolved before the images they fall back to changed, and written afterwards.
create table wallet_outdated_pass (
    pass_type_identifier text collate "C" not null,
    serial_number        text collate "C" not null,
    primary key (pass_type_identifier, serial_number)
);

create table wallet_job (
    job_id               text collate "C" primary key,
    position             bigint not null, -- log position of what was asked for: jobs run in this order
    kind                 text   not null,
    organization_id      text collate "C", -- whose it is; none for an operator's
    pass_type_identifier text collate "C",
    state                text   not null,
    cursor               text,             -- the last pass that is done
    total                bigint,           -- passes to look at, unknown until it has been started
    done                 bigint not null,
    failed               bigint not null,
    failures             jsonb  not null,  -- the first failures in words
    started_at           bigint,           -- Unix seconds
    finished_at          bigint,           -- Unix seconds
    sequence             bigint not null
);
create index wallet_job_unfinished on wallet_job (position) where finished_at is null;
