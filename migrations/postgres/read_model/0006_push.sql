-- Whoever is woken is woken once, also when two devices have one push token.
create index wallet_device_by_push_token on wallet_device (pass_type_identifier, push_token, device_library_identifier);

-- Those who hold a pass are gone through page by page, which the index did not say the order of.
drop index wallet_registration_by_pass;
create index wallet_registration_by_pass on wallet_registration (pass_type_identifier, serial_number, device_library_identifier);
