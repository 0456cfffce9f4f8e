-- Organisations for trying: nothing is pushed to Apple for them.

alter table wallet_organization add column is_test integer not null default 0 check (is_test in (0, 1));
