-- What operators did, one row for each action.

create table audit (
    id     text primary key, -- UUID version 7, so that rows sort by age
    at_ms  integer not null, -- when the action began, milliseconds since 1970-01-01 UTC
    actor  text not null, -- name of the operator
    client text, -- client address; null when it is not known
    action text not null,
    target text not null, -- the path
    result integer -- status of the answer; null when it was not written
) strict, without rowid;

create index audit_by_actor on audit (actor, id);
create index audit_by_action on audit (action, id);
