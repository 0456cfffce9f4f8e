-- The forms of rewards programmes, and the persons who have filled them in. A row stays when its form is taken away.

create table wallet_personalization (
    pass_type_identifier text    not null,
    serial_number        text    not null,
    form                 text, -- JSON: personalization.json; null when it was taken away
    token                text, -- SHA-256 of the phone's token; null until a person has filled the form in
    person               text, -- the person's data, sealed; null until then
    sequence             integer not null,
    primary key (pass_type_identifier, serial_number)
) strict, without rowid;
