-- What operators did, one row for each action.

create table audit (
    id     text collate "C" primary key, -- UUID version 7, so that rows sort by age
    at_ms  bigint not null, -- when the action began, milliseconds since 1970-01-01 UTC
    actor  text collate "C" not null, -- name of the operator
    client text collate "C", -- client address; null when it is not known
    action text collate "C" not null,
    target text collate "C" not null, -- the path
    result bigint -- status of the answer; null when it was not written
);

create index audit_by_actor on audit (actor, id);
create index audit_by_action on audit (action, id);
