-- Which commands have run on this event log: `dev` began it, or `serve` has run on it. `honoken dev` refuses an event log that is not its own.
create table log_marks (
    mark text primary key check (mark in ('dev', 'serve'))
) strict, without rowid;
