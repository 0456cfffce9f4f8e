-- Organisations for trying: nothing is pushed to Apple for them.

alter table wallet_organization add column is_test boolean not null default false;
