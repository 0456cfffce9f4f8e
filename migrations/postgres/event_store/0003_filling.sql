-- A third mark: the event log is being filled from another one, and lacks events until it is taken away.
alter table log_marks drop constraint log_marks_mark_check;
alter table log_marks add constraint log_marks_mark_check check (mark in ('dev', 'serve', 'filling'));
