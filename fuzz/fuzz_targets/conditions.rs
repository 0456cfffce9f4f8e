#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| honoken_test_fuzzed::conditions(bytes));
