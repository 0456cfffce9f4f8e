-- The keys under which the persons who have enrolled with passes are sealed in the event log, each key sealed itself. A key that is deleted
-- makes its person unreadable for ever.

create table person_key (
    pass_type_identifier text not null,
    serial_number        text not null,
    sealed_key           text not null, -- sealed under an encryption key of the service
    primary key (pass_type_identifier, serial_number)
) strict, without rowid;
