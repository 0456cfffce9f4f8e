//! The clock of the machine is set while the program runs: phones are woken as ever, and nothing that only grows goes back.

use std::fs;

use super::{Cast, Stage, all, assert_each_was_woken};

/// Shows a program another time than the machine has, and another one as soon as a file says so. In a folder for the kind of the machine.
fn library() -> String {
    let folders = fs::read_dir("/usr/lib").expect("a folder that may be read").flatten();
    let mut libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let library = libraries.find(|library| library.is_file());
    let library = library.expect("libfaketime is there: scripts/test installs it (Debian: faketime)");
    library.to_str().expect("a path that is text").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_by_hours_keeps_no_phone_waiting() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let (says, library) = (folder.path().join("clock"), library());
    // At once: half of a file would be another time.
    let shows = |offset: &str| {
        let next = folder.path().join("next");
        fs::write(&next, offset).and_then(|()| fs::rename(&next, &says)).expect("a file");
    };
    shows("+0s");
    let variables = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", says.to_str().expect("a path that is text")),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("HONOKEN_PUSH_WINDOW_SECONDS", "2"),
    ];
    let Stage { honoken, apns } = Stage::with(&variables).await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 3).await;
    let mut before = cast.integrator.moves_to("A-1", "first").await;
    // Back, and forward and back again.
    for (times, offset) in [(1, "+0s"), (2, "-3h"), (3, "-3h"), (4, "+3h"), (5, "+0s"), (6, "+0s")] {
        apns.wait_until("all are woken", |apns| {
            fleet.push_tokens().iter().all(|token| apns.wakes_of(token).len() == times)
        })
        .await;
        cast.settles().await;
        assert_eq!(cast.deliveries("A-1", &before.etag).await, all(3, "sent"));
        shows(offset);
        let change = cast.integrator.moves_to("A-1", &times.to_string()).await;
        assert!(change.updated_at > before.updated_at, "{} after {}", change.updated_at, before.updated_at);
        assert!(change.position > before.position);
        before = change;
    }
    apns.wait_until("all are woken", |apns| apns.count() == 3 * 7).await;
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 7);
    let output = honoken.home().output();
    assert!(output.contains("the clock was set back by 10800 s"), "{output}");
    // What it was meanwhile may have lasted for less than a look.
    assert!(output.contains("the clock was set forward by "), "{output}");
}
