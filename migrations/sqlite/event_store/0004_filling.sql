-- A third mark: the event log is being filled from another one, and lacks events until it is taken away.
create table log_marks_with_filling (
    mark text primary key check (mark in ('dev', 'serve', 'filling'))
) strict, without rowid;
insert into log_marks_with_filling select mark from log_marks;
drop table log_marks;
alter table log_marks_with_filling rename to log_marks;
