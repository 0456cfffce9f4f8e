-- The forms of rewards programmes, and the persons who have filled them in. A row stays when its form is taken away.

create table wallet_personalization (
    pass_type_identifier text collate "C" not null,
    serial_number        text collate "C" not null,
    form                 jsonb, -- personalization.json; null when it was taken away
    token                text, -- SHA-256 of the phone's token; null until a person has filled the form in
    person               text, -- the person's data, sealed; null until then
    sequence             bigint           not null,
    primary key (pass_type_identifier, serial_number)
);
