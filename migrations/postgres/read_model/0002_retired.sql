-- A pass that is retired is void for ever. None was before there was such an event, so the rows that are there are right.
alter table wallet_pass add column retired boolean not null default false;
