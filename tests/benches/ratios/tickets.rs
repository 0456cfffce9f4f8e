//! What is issued, changed and built here: an event ticket with about a kilobyte of content.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use honoken_database::postgres;
use honoken_domain::content::Content;
use honoken_domain::ids::{AuthenticationToken, Digest, OrganizationId, PassId, UnixSeconds};
use honoken_domain::images::{DefaultImages, Images};
use honoken_domain::localizations::Localizations;
use honoken_domain::pass::{
    Circumstances, IssuePass, OrderedToken, Pass, PassCommand, Precondition, TicketStyle,
};
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{
    Dispatcher, Epoch, Log, Metadata, PostgresLog, SqliteLog, postgres as postgres_log,
};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

/// The files of the pass: icon and logo at three scales, with their sizes in pixels.
pub(crate) const IMAGES: [(&str, u32, u32); 6] = [
    ("icon.png", 29, 29),
    ("icon@2x.png", 58, 58),
    ("icon@3x.png", 87, 87),
    ("logo.png", 120, 30),
    ("logo@2x.png", 240, 60),
    ("logo@3x.png", 360, 90),
];

/// The content of a ticket as a shop would send it; the seat tells one from another.
pub(crate) fn content(seat: usize) -> Map<String, Value> {
    let ticket = json!({
        "description": "A seat at the opening night of the season",
        "organizationName": "The Old Theatre",
        "eventName": "Opening night: The Tempest, with the city's orchestra",
        "eventDateISO": "2027-03-01T19:30:00+01:00",
        "venueName": "The Old Theatre, Great Hall",
        "section": "Stalls, left",
        "row": "12",
        "seat": format!("{seat}"),
        "foregroundColor": "rgb(255, 255, 255)",
        "backgroundColor": "rgb(94, 53, 177)",
        "labelColor": "rgb(209, 196, 233)",
        "groupingIdentifier": "opening-night-2027",
        "relevantDate": "2027-03-01T19:30:00+01:00",
        "barcodes": [{
            "format": "PKBarcodeFormatQR",
            "message": format!("https://tickets.example.com/check/7f3c9a61d2b84e05/{seat}"),
            "messageEncoding": "iso-8859-1",
            "altText": "7F3C 9A61 D2B8 4E05",
        }],
        "userInfo": {
            "order": "2027-000173-0042",
            "note": "Doors open at half past six. Coats and large bags stay in the cloakroom, which closes thirty \
                     minutes after the performance. Latecomers are seated during the first interval.",
        },
    });
    match ticket {
        Value::Object(content) => content,
        _ => Map::new(),
    }
}

/// The command that moves a pass to that seat.
pub(crate) fn moves_to(seat: usize) -> PassCommand {
    PassCommand::ReplaceContent { content: domain_content(seat) }
}

fn domain_content(seat: usize) -> Content {
    Content::from_value(Value::Object(content(seat))).expect("an object")
}

const EPOCH: Epoch = Epoch(0x00be_9c43);

/// A ticket office: a log, and what commands need.
#[derive(Debug, Clone)]
pub(crate) struct Office {
    pub(crate) log: Arc<Log>,
    dispatcher: Arc<Dispatcher<Log>>,
    circumstances: Arc<Circumstances>,
    metadata: Arc<Metadata>,
}

impl Office {
    /// An office with an empty log in a file.
    pub(crate) async fn in_file(file: &Path) -> Self {
        Self::of(Log::Sqlite(SqliteLog::open(file, EPOCH).await.expect("the log opens")))
    }

    /// An office with an empty log in a database.
    pub(crate) async fn on_server(url: &str) -> Self {
        let options = postgres::options(url).expect("a URL");
        postgres_log::migrate(&options).await.expect("the tables are made");
        Self::of(Log::Postgres(PostgresLog::open(&options, EPOCH).await.expect("the log opens")))
    }

    /// The same office after everybody went home: nothing is in memory any more.
    pub(crate) fn next_morning(&self) -> Self {
        let dispatcher = Arc::new(Dispatcher::new(self.log.clone(), Upcasters::current()));
        Self { dispatcher, ..self.clone() }
    }

    fn of(log: Log) -> Self {
        let log = Arc::new(log);
        let circumstances = Circumstances {
            now: UnixSeconds(1_700_000_000),
            organization_id: OrganizationId::parse("theatre").expect("a name"),
            default_localizations: Localizations::new(),
            default_images: DefaultImages::default(),
            allows_nfc: false,
            precondition: Precondition::None,
            rules: honoken_service::content_rules::refusals,
        };
        let metadata = Metadata {
            actor: "api-key:0123456789abcdef".into(),
            organization: Some("theatre".into()),
            request_id: "018bcfe5-6800-7000-8000-000000000000".into(),
            urgent: false,
            recorded_at_ms: 1_700_000_000_000,
        };
        Self {
            dispatcher: Arc::new(Dispatcher::new(log.clone(), Upcasters::current())),
            log,
            circumstances: Arc::new(circumstances),
            metadata: Arc::new(metadata),
        }
    }

    /// Issues a pass and answers the id of its aggregate.
    pub(crate) async fn issues(&self, serial_number: String) -> String {
        let aggregate_id = format!("pass.com.example.theatre/{serial_number}");
        let images: Images =
            IMAGES.iter().map(|(file, ..)| ((*file).to_owned(), Digest::of(file.as_bytes()))).collect();
        let order = IssuePass {
            id: PassId::parse(&aggregate_id).expect("an id"),
            ticket_style: TicketStyle::Event,
            poster: false,
            content: domain_content(0),
            assets: images,
            localizations: Localizations::new(),
            voided: false,
            authentication_token: OrderedToken::Fresh(
                AuthenticationToken::parse("0123456789abcdef0123456789abcdef").expect("a token"),
            ),
        };
        self.dispatches(&aggregate_id, PassCommand::Issue(Box::new(order))).await;
        aggregate_id
    }

    /// Carries out a command that leads to one event.
    pub(crate) async fn dispatches(&self, aggregate_id: &str, command: PassCommand) {
        let deadline = Instant::now() + Duration::from_mins(1);
        let (circumstances, metadata) = (&self.circumstances, &self.metadata);
        let committed =
            self.dispatcher.dispatch::<Pass>(aggregate_id, command, circumstances, metadata, deadline);
        let committed = committed.await.expect("the command is carried out");
        assert_eq!(committed.events.len(), 1, "the command changes the pass");
    }
}
