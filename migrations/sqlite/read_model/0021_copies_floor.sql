-- How far the other copies of these tables are that processes read: a file has one process, and it reads one.
create view copies_floor as
select cast(null as integer) as position;
