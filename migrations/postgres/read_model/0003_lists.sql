-- Passes are listed by organisation, in the order of their names, and found by the words on them.

create index wallet_pass_by_organization on wallet_pass (organization_id, pass_type_identifier, serial_number);
create index wallet_pass_type_by_organization on wallet_pass_type (organization_id, pass_type_identifier);

alter table wallet_pass_content add column words text not null default ''; -- lower-cased, sorted, with a space between two

create table wallet_pass_word (
    pass_type_identifier text collate "C" not null,
    word                 text collate "C" not null,
    serial_number        text collate "C" not null,
    primary key (pass_type_identifier, word, serial_number)
);
