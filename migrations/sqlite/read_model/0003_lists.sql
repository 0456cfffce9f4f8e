-- Passes are listed by organisation, in the order of their names, and found by the words on them.

create index wallet_pass_by_organization on wallet_pass (organization_id, pass_type_identifier, serial_number);

alter table wallet_pass_content add column words text not null default ''; -- to be found by: in lower case, sorted, with a space between two
