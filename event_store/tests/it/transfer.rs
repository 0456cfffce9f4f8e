//! Event logs that are moved: from each engine to each, into lines and out of them.

use honoken_event_store::transfer::ndjson::{Export, export, import};
use honoken_event_store::transfer::{Copying, Target, TransferError};
use honoken_event_store::{Epoch, EventLog, Log, LogError, Mark, Position, postgres, sqlite};

use crate::note::append;
use crate::numbered::Numbered;
use crate::store::{EPOCH, Store, file, options};

/// Texts that each format has to escape.
const HARD: [&str; 4] = ["ü \" \\ \n \\n", "\t\r", "\0\u{1f}\\u0000", ""];

impl Store {
    /// The log, to be filled.
    pub(crate) async fn target(&self) -> Target {
        match self {
            Self::Sqlite(folder) => Target::in_file(&file(folder)).await.unwrap(),
            Self::Postgres(database) => Target::on_server(&options(database.url())).await.unwrap(),
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(_, address) => Target::on_kurrentdb(address).await.unwrap(),
        }
    }

    async fn mark(&self, mark: Mark) {
        match self {
            Self::Sqlite(folder) => sqlite::put_mark(&file(folder), mark).await.unwrap(),
            Self::Postgres(database) => postgres::put_mark(&options(database.url()), mark).await.unwrap(),
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(_, address) => {
                honoken_event_store::kurrentdb::put_mark(address, mark).await.unwrap();
            }
        }
    }

    /// Why it cannot be opened.
    pub(crate) async fn refusal(&self) -> LogError {
        match self {
            Self::Sqlite(folder) => {
                honoken_event_store::SqliteLog::open(&file(folder), Epoch(1)).await.unwrap_err()
            }
            Self::Postgres(database) => {
                honoken_event_store::PostgresLog::open(&options(database.url()), Epoch(1)).await.unwrap_err()
            }
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(_, address) => {
                honoken_event_store::KurrentLog::open(address, Epoch(1)).await.unwrap_err()
            }
        }
    }
}

/// A log with streams of several notes, among them one with texts that are hard to escape.
pub(crate) async fn written(store: &Store, notes: u64) -> Numbered {
    store.mark(Mark::Serve).await;
    let log = store.open().await;
    for note in 0..notes {
        log.append(append(&format!("note {note}"), 0, &HARD)).await.unwrap();
    }
    log
}

pub(crate) async fn exported(log: &Log) -> Vec<u8> {
    let head = *EventLog::head(log).borrow();
    let mut lines = Vec::new();
    export(log, head, &mut lines, |_| {}).await.unwrap();
    lines
}

/// Copies all of it, and closes the copy.
pub(crate) async fn copy(log: &Log, to: &Store) -> Result<u64, TransferError> {
    let mut copying = Copying::begin(log, to.target().await).await?;
    copying.catch_up(|_| {}).await?;
    let events = copying.verify(|_| {}).await?.events();
    copying.close().await?;
    Ok(events)
}

async fn a_copy_on_each_engine_is_the_same_to_the_byte_and_goes_on(store: Store) {
    let log = written(&store, 50).await;
    for to in [Store::sqlite(), Store::postgres().await] {
        assert_eq!(copy(&log, &to).await.unwrap(), 200);
        let copied = to.open_with(Epoch(7)).await;
        assert_eq!((copied.epoch(), *copied.head().borrow()), (EPOCH, Position(200)));
        assert_eq!(copied.identity().await.unwrap(), log.identity().await.unwrap());
        assert_eq!(String::from_utf8(exported(&copied).await), String::from_utf8(exported(&log).await));
        assert_eq!(copied.append(append("note 0", 4, &["x"])).await.unwrap(), Position(201));
        copied.close().await;
    }
}

async fn a_copy_follows_its_original_and_goes_on_after_an_interruption(store: Store) {
    let log = written(&store, 3).await;
    for to in [Store::sqlite(), Store::postgres().await] {
        let mut copying = Copying::begin(&log, to.target().await).await.unwrap();
        copying.catch_up(|_| {}).await.unwrap();
        copying.close().await.unwrap();
        assert!(matches!(to.refusal().await, LogError::Filling), "interrupted before it was compared");

        let head = log.head().borrow().0;
        let mut copying = Copying::begin(&log, to.target().await).await.unwrap();
        copying.catch_up(|_| {}).await.unwrap();
        let later = append(&format!("later {head}"), 0, &["one", "two"]);
        let (appended, ()) = futures::join!(log.append(later), copying.grows());
        assert_eq!(appended.unwrap(), Position(head + 2));
        let mut reached = Position(0);
        copying.catch_up(|position| reached = position).await.unwrap();
        assert_eq!(reached, Position(head + 2));
        copying.verify(|_| {}).await.unwrap();
        copying.close().await.unwrap();
        assert_eq!(exported(&*to.open().await).await, exported(&log).await);
    }
}

async fn a_log_that_is_no_copy_is_not_filled(store: Store) {
    let log = written(&store, 2).await;
    for to in [Store::sqlite(), Store::postgres().await] {
        to.mark(Mark::Serve).await;
        assert!(matches!(copy(&log, &to).await, Err(TransferError::Used)));
        let other = to.open_with(Epoch(7)).await;
        other.append(append("theirs", 0, &["one"])).await.unwrap();
        other.close().await;
        let refused = copy(&log, &to).await;
        assert!(
            matches!(refused, Err(TransferError::Another { theirs: Epoch(7), ours: EPOCH })),
            "{refused:?}"
        );
        let other = to.open_with(Epoch(8)).await;
        assert_eq!((other.epoch(), *other.head().borrow()), (Epoch(7), Position(1)), "nothing was changed");
    }
}

async fn a_copy_that_has_gone_on_by_itself_is_not_filled(store: Store) {
    let log = written(&store, 2).await;
    for to in [Store::sqlite(), Store::postgres().await] {
        copy(&log, &to).await.unwrap();
        let copied = to.open().await;
        copied.append(append("theirs", 0, &["one"])).await.unwrap();
        copied.close().await;
        let refused = copy(&log, &to).await;
        let head = Position(log.head().borrow().0 + 1);
        assert!(matches!(refused, Err(TransferError::HasGoneOn(at)) if at == head), "{refused:?}");
        assert_eq!(*to.open().await.head().borrow(), head, "it can be used as before");
    }
    log.append(append("ours", 0, &["one"])).await.unwrap();
}

async fn a_copy_that_differs_is_found_out_and_stays_unusable(store: Store) {
    let log = written(&store, 3).await;
    for to in [Store::sqlite(), Store::postgres().await] {
        let mut copying = Copying::begin(&log, to.target().await).await.unwrap();
        copying.catch_up(|_| {}).await.unwrap();
        to.spoil("update events set recorded_at = recorded_at + 1 where position = 7").await;
        let differs = copying.verify(|_| {}).await.unwrap_err();
        assert!(
            matches!(differs, TransferError::Differs { from: Position(0), to: Position(12) }),
            "{differs:?}"
        );
        copying.close().await.unwrap();
        assert!(matches!(to.refusal().await, LogError::Filling));
    }
}

async fn an_event_that_cannot_be_read_is_named(store: Store) {
    let log = written(&store, 3).await;
    log.close().await;
    store.spoils_text("payload", 6).await;
    let log = store.open().await;
    let refused = copy(&log, &Store::sqlite()).await;
    let is_named = |fault: &TransferError| matches!(fault, TransferError::Log(LogError::Unreadable { event, .. }) if event.position == Position(6));
    assert!(refused.is_err_and(|fault| is_named(&fault)));
    let head = *log.head().borrow();
    let refused = export(&log, head, &mut Vec::new(), |_| {}).await;
    assert!(refused.is_err_and(|fault| is_named(&fault)));
}

async fn exported_lines_fill_an_empty_log_of_either_engine(store: Store) {
    let log = written(&store, 20).await;
    let lines = exported(&log).await;
    for to in [Store::sqlite(), Store::postgres().await] {
        let mut target = to.target().await;
        let whole = import(&mut Export::open(&*lines).unwrap(), &mut target, |_| {}).await.unwrap();
        assert_eq!((whole.events(), whole.last()), (80, Position(80)));
        let again = import(&mut Export::open(&*lines).unwrap(), &mut target, |_| {}).await.unwrap();
        assert_eq!(again.sha256(), whole.sha256(), "a second time nothing is added");
        target.close().await.unwrap();
        let copied = to.open_with(Epoch(7)).await;
        assert_eq!(copied.epoch(), EPOCH);
        assert_eq!(String::from_utf8(exported(&copied).await), String::from_utf8(lines.clone()));
    }
}

/// What is done to the lines.
type Change = dyn Fn(&mut Vec<String>);

/// Imports lines that were changed, into a log that is new, and says why that is refused.
async fn refusal_of(lines: &[String]) -> String {
    let to = Store::sqlite();
    let mut target = to.target().await;
    let text = lines.concat();
    let refused = match Export::open(text.as_bytes()) {
        Ok(mut export) => {
            let refused = import(&mut export, &mut target, |_| {}).await.map(drop);
            target.close().await.unwrap();
            assert!(matches!(to.refusal().await, LogError::Filling), "it stays unusable");
            refused
        }
        Err(fault) => Err(fault),
    };
    refused.unwrap_err().to_string()
}

#[tokio::test]
async fn lines_that_were_changed_are_refused_with_their_number() {
    let store = Store::sqlite();
    let log = written(&store, 2).await;
    let text = String::from_utf8(exported(&log).await).unwrap();
    let lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    assert_eq!(lines.len(), 10);
    let changed = |change: &Change| {
        let mut lines = lines.clone();
        change(&mut lines);
        lines
    };
    let cases: [(&Change, &str); 9] = [
        (&|lines| lines.clear(), "line 1: this is not a file that `honoken log export` wrote"),
        (
            &|lines| lines[0] = lines[0].replace("\"honokenEventLog\":1", "\"honokenEventLog\":2"),
            "line 1: `honokenEventLog` is 2",
        ),
        (
            &|lines| lines[0] = lines[0].replace("00c0ffee", "c0ffee"),
            "line 1: `epoch` is not eight hex digits",
        ),
        (
            &|lines| lines[0] = lines[0].replace("serve", "filling"),
            "line 1: `marks` has an unknown one, `filling`",
        ),
        (&|lines| drop(lines.pop()), "line 10: the file ends here, before its last line"),
        (&|lines| lines.swap(3, 4), "line 5: `position` is 3, and must be above 4"),
        (&|lines| drop(lines.remove(2)), "line 9: the file was changed"),
        (
            &|lines| lines[5] = "{\"position\":5}\n".into(),
            "line 6: this is not an event: missing field `aggregateType`",
        ),
        (&|lines| lines.push("{}\n".into()), "line 11: nothing may follow"),
    ];
    for (change, expected) in cases {
        let refused = refusal_of(&changed(change)).await;
        assert!(refused.starts_with(expected), "{refused}");
    }
}

#[tokio::test]
async fn a_stream_with_a_gap_is_refused_whatever_the_hash_says() {
    let store = Store::sqlite();
    let log = written(&store, 2).await;
    log.close().await;
    store.spoil("delete from events where position = 2").await;
    let log = store.open().await;
    let lines = exported(&log).await;
    let mut target = Store::sqlite().target().await;
    let refused = import(&mut Export::open(&*lines).unwrap(), &mut target, |_| {}).await;
    assert!(matches!(refused, Err(TransferError::Gap(stream)) if stream == "Note note 0"));
}

on_both_engines! {
    a_copy_on_each_engine_is_the_same_to_the_byte_and_goes_on,
    a_copy_follows_its_original_and_goes_on_after_an_interruption,
    a_log_that_is_no_copy_is_not_filled,
    a_copy_that_has_gone_on_by_itself_is_not_filled,
    a_copy_that_differs_is_found_out_and_stays_unusable,
    an_event_that_cannot_be_read_is_named,
    exported_lines_fill_an_empty_log_of_either_engine,
}
