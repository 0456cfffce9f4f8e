//! Each event reaches its table, and the questions are answered from there.

use std::time::Duration;

use honoken_domain::apns_key::ApnsKeyCommand;
use honoken_domain::brand_assets::{BRAND_ID, BrandAssets};
use honoken_domain::certificate::CertificateCommand;
use honoken_domain::content::Content;
use honoken_domain::ids::{CertRef, Digest, TeamIdentifier, UnixSeconds};
use honoken_domain::images::{DefaultImages, Images};
use honoken_domain::localizations::Localizations;
use honoken_domain::organization::{Organization, Scope, Scopes};
use honoken_domain::pass::{ContentPatch, Increment, Pass, PassCommand, PassKind, PointerBuf, TicketStyle};
use honoken_event_store::{Committed, EventLog, Position};
use honoken_projections::WALLET;
use honoken_projections::organizations::KeyGrant;
use honoken_projections::pass_types::PassTypeRow;
use honoken_projections::passes::{PassDocument, PassRow};
use serde_json::json;

use crate::world::{
    Engine, LIMIT, OTHER, Running, TICKET, World, apns_key, apns_key_id, assert_same, club, content, icon,
    installation, on_both_engines, pass_id, pass_type, sealed, soon, ticket, token_of,
};

fn row(committed: &Committed<Pass>) -> PassRow {
    PassRow {
        authentication_token: token_of(&ticket("A")),
        etag: committed.aggregate.etag().unwrap().clone(),
        updated_at: committed.aggregate.updated_at().unwrap(),
    }
}

fn document(committed: &Committed<Pass>, seat: &str) -> PassDocument {
    PassDocument {
        row: row(committed),
        organization_id: club(),
        organization_name: "The club".into(),
        team_identifier: TeamIdentifier::parse("ABCDE12345").unwrap(),
        kind: PassKind::plain(TicketStyle::Event),
        voided: false,
        retired: false,
        content: content(seat),
        images: icon(),
        own_localizations: Localizations::new(),
        localizations: Localizations::new(),
        nfc_left_out: false,
        open_form: None,
        update_tag: committed.position,
        registrations: 0,
    }
}

async fn shown(running: &Running, committed: &Committed<Pass>) -> PassDocument {
    assert!(running.projector.shows(committed, LIMIT).await);
    let document = running.model.pass_document(&ticket("A")).await.unwrap().unwrap();
    assert_eq!(running.model.pass_row(&ticket("A")).await.unwrap().unwrap(), document.row);
    document
}

async fn every_change_of_a_pass_is_in_its_row_with_the_tag_and_the_time_of_the_event(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let a = ticket("A");

    let issued = world.issues(&a, "1").await;
    assert_eq!(shown(&running, &issued).await, document(&issued, "1"));

    let changed = world.changes(&a, "2").await;
    assert_ne!(changed.aggregate.etag(), issued.aggregate.etag());
    assert_eq!(shown(&running, &changed).await, document(&changed, "2"));

    let digest = Digest::of(b"own logo");
    let own = ("logo.png".to_owned(), digest.clone());
    let dressed = world.asks(&a, PassCommand::PutAsset { file: "logo.png".into(), digest }).await.unwrap();
    let mut images = icon();
    images.extend([own]);
    assert_eq!(shown(&running, &dressed).await, PassDocument { images, ..document(&dressed, "2") });

    let undressed = world.asks(&a, PassCommand::RemoveAsset { file: "logo.png".into() }).await.unwrap();
    assert_eq!(shown(&running, &undressed).await, document(&undressed, "2"));

    let voided = world.asks(&a, PassCommand::Void).await.unwrap();
    assert_eq!(shown(&running, &voided).await, PassDocument { voided: true, ..document(&voided, "2") });
    let while_void = world.changes(&a, "3").await;
    assert_eq!(
        shown(&running, &while_void).await,
        PassDocument { voided: true, ..document(&while_void, "3") },
        "a change leaves a void pass void"
    );

    let valid = world.asks(&a, PassCommand::Reinstate).await.unwrap();
    assert_eq!(shown(&running, &valid).await, document(&valid, "3"));

    let merged = PassCommand::PatchContent { patch: ContentPatch::Merge(json!({ "points": 40 })) };
    let merged = world.asks(&a, merged).await.unwrap();
    let with_points = |points: i64| {
        let mut content = content("3").as_map().clone();
        content.insert("points".into(), points.into());
        Content::from_value(content.into()).unwrap()
    };
    assert_eq!(
        shown(&running, &merged).await,
        PassDocument { content: with_points(40), ..document(&merged, "3") }
    );
    let increment = Increment {
        pointer: PointerBuf::parse("/points").unwrap(),
        by: 2.into(),
        key: Some(Digest::of(b"key")),
    };
    let counted = world.asks(&a, PassCommand::Increment(increment)).await.unwrap();
    assert_eq!(
        shown(&running, &counted).await,
        PassDocument { content: with_points(42), ..document(&counted, "3") }
    );

    let card = PassCommand::ChangeMetadata { ticket_style: Some(TicketStyle::StoreCard), poster: None };
    let card = world.asks(&a, card).await.unwrap();
    let as_card = |committed| PassDocument {
        kind: PassKind::plain(TicketStyle::StoreCard),
        content: with_points(42),
        ..document(committed, "3")
    };
    assert_eq!(shown(&running, &card).await, as_card(&card));
    let kind = running.model.pass_type_of(&a).await.unwrap().unwrap().1;
    assert_eq!(kind, Some(PassKind { style: TicketStyle::StoreCard, poster: false }));

    let retired = world.asks(&a, PassCommand::Retire).await.unwrap();
    assert_eq!(
        shown(&running, &retired).await,
        PassDocument { voided: true, retired: true, ..as_card(&retired) }
    );
    running.stops().await;
}

async fn a_pass_of_the_same_serial_number_and_another_type_is_another_pass(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let first = world.issues(&ticket("A"), "1").await;
    let other = world.issues(&pass_id(OTHER, "A"), "1").await;
    world.changes(&pass_id(OTHER, "A"), "2").await;
    running.reaches(world.head()).await;
    assert_eq!(running.model.pass_row(&ticket("A")).await.unwrap(), Some(row(&first)));
    let other_row = running.model.pass_row(&pass_id(OTHER, "A")).await.unwrap().unwrap();
    assert_ne!(Some(&other_row.etag), other.aggregate.etag());
    running.stops().await;
}

async fn a_pass_that_nobody_issued_is_not_there(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.issues(&ticket("A"), "1").await;
    running.reaches(world.head()).await;
    for id in [ticket("B"), pass_id(OTHER, "A")] {
        assert_eq!(running.model.pass_row(&id).await.unwrap(), None, "{id}");
        assert_eq!(running.model.pass_document(&id).await.unwrap(), None, "{id}");
    }
    running.stops().await;
}

async fn a_command_that_changes_nothing_leaves_the_row_alone(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let issued = world.issues(&ticket("A"), "1").await;
    let same = world.changes(&ticket("A"), "1").await;
    assert_eq!((same.events.len(), same.position), (0, issued.position));
    assert_eq!(shown(&running, &same).await, document(&issued, "1"));
    running.stops().await;
}

async fn a_pass_counts_the_devices_that_hold_it(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.issues(&ticket("A"), "1").await;
    world.issues(&ticket("B"), "1").await;
    for (name, pass) in [("one", "A"), ("two", "A"), ("two", "B")] {
        world.registers(name, &ticket(pass), "aa").await;
    }
    world.registers("three", &pass_id(OTHER, "A"), "aa").await;
    running.reaches(world.head()).await;
    assert_eq!(running.model.pass_document(&ticket("A")).await.unwrap().unwrap().registrations, 2);
    world.unregisters("one", &ticket("A")).await;
    running.reaches(world.head()).await;
    assert_eq!(running.model.pass_document(&ticket("A")).await.unwrap().unwrap().registrations, 1);
    running.stops().await;
}

async fn a_pass_type_is_shown_with_its_owner_its_images_and_the_brands(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let created = world.creates_pass_type("pass.com.example.third").await;
    assert!(running.projector.shows(&created, LIMIT).await);
    let identifier = pass_type("pass.com.example.third");
    let mut expected = PassTypeRow {
        pass_type_identifier: identifier.clone(),
        organization_id: club(),
        cert_ref: CertRef::of_pass_type(&identifier),
        team_identifier: TeamIdentifier::parse("ABCDE12345").unwrap(),
        default_localizations: Localizations::new(),
        default_images: DefaultImages::default(),
        allows_nfc: false,
    };
    assert_eq!(running.model.pass_type(&identifier).await.unwrap(), Some(expected.clone()));

    let digest = |bytes: &str| Digest::of(bytes.as_bytes());
    world.puts_type_image("pass.com.example.third", "logo.png", "one").await;
    world.puts_type_image("pass.com.example.third", "logo.png", "two").await;
    world.puts_brand_image("icon.png", "three").await;
    world.puts_brand_image("logo.png", "four").await;
    running.reaches(world.head()).await;
    expected.default_images = DefaultImages {
        pass_type: Images::from([("logo.png".into(), digest("two"))]),
        brand: Images::from([("icon.png".into(), digest("three")), ("logo.png".into(), digest("four"))]),
    };
    assert_eq!(running.model.pass_type(&identifier).await.unwrap(), Some(expected));
    assert_eq!(running.model.pass_type(&pass_type("pass.com.example.nobodys")).await.unwrap(), None);
    let own = running.model.pass_type(&pass_type(TICKET)).await.unwrap().unwrap();
    assert_eq!(own.default_images.pass_type, Images::new(), "another type's images are not its own");
    running.stops().await;
}

async fn a_pass_type_is_answered_with_what_the_pass_is_if_there_is_one(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.issues(&ticket("A"), "1").await;
    running.reaches(world.head()).await;
    let (of_pass, kind) = running.model.pass_type_of(&ticket("A")).await.unwrap().unwrap();
    assert_eq!(of_pass, running.model.pass_type(&pass_type(TICKET)).await.unwrap().unwrap());
    assert_eq!(kind, Some(PassKind { style: TicketStyle::Event, poster: false }));
    let (_, kind) = running.model.pass_type_of(&ticket("B")).await.unwrap().unwrap();
    assert_eq!(kind, None);
    assert_eq!(running.model.pass_type_of(&pass_id("pass.com.example.nobodys", "A")).await.unwrap(), None);
    running.stops().await;
}

async fn a_poster_is_known_as_one(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let mut order = crate::world::order(&ticket("A"), "1");
    if let PassCommand::Issue(order) = &mut order {
        order.poster = true;
        order.assets.insert("background.png".into(), Digest::of(b"background"));
    }
    world.asks(&ticket("A"), order).await.unwrap();
    running.reaches(world.head()).await;
    assert!(running.model.pass_document(&ticket("A")).await.unwrap().unwrap().kind.poster);
    let (_, kind) = running.model.pass_type_of(&ticket("A")).await.unwrap().unwrap();
    assert!(kind.unwrap().poster);
    running.stops().await;
}

/// The moment at which keys are shown.
const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

async fn a_key_names_the_organization_it_was_given_to(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.creates_organization("shop").await;
    let added = world.adds_api_key("secret").await;
    assert!(running.projector.shows(&added, LIMIT).await);
    let owner = async |key: &str| running.model.grant_of_key(&Digest::of(key.as_bytes()), NOW).await.unwrap();
    assert_eq!(
        owner("secret").await,
        Some(KeyGrant {
            organization_id: club(),
            scopes: Scopes::default(),
            disabled: false,
            is_test: false
        })
    );
    assert_eq!(owner("guess").await, None);
    assert_eq!(
        world.column("select organization_id || ' is ' || name from wallet_organization order by 1").await,
        ["club is The club", "shop is The shop"]
    );
    assert_eq!(world.column("select label from wallet_api_key").await, ["key secret"]);
    running.stops().await;
}

async fn a_key_has_the_scopes_that_it_was_given_last(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let scopes = async |added: Committed<Organization>| {
        assert!(running.projector.shows(&added, LIMIT).await);
        let grant = running.model.grant_of_key(&Digest::of(b"till"), NOW).await.unwrap().unwrap();
        let listed = running.model.api_keys().await.unwrap();
        assert_eq!(
            listed.into_iter().map(|key| key.scopes).collect::<Vec<_>>(),
            std::slice::from_ref(&grant.scopes)
        );
        grant.scopes
    };
    let import = Scopes::of([Scope::PassesImport]);
    let (none, all) = (Scopes::default(), Scopes::all());
    for given in [&import, &none, &all, &import] {
        let added = world.adds_api_key_with("till", given.clone()).await;
        assert_eq!(scopes(added).await, *given);
    }
    running.stops().await;
}

async fn a_key_names_nobody_from_its_end_on(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.adds_api_key("till").await;
    let rotated = world.rotates_api_key("till", "new till", Some(5000)).await;
    assert!(running.projector.shows(&rotated, LIMIT).await);
    let works = async |key: &str, now| {
        let digest = Digest::of(key.as_bytes());
        running.model.grant_of_key(&digest, UnixSeconds(now)).await.unwrap().is_some()
    };
    for (key, end) in [("till", 1100), ("new till", 5000)] {
        assert!(works(key, end - 1).await && !works(key, end).await, "{key}");
    }
    world.adds_api_key("gate").await;
    world.creates_organization("shop").await;
    let again = world.rotates_api_key("new till", "last till", None).await;
    assert!(running.projector.shows(&again, LIMIT).await);
    let keys = running.model.api_keys_of(&club()).await.unwrap();
    assert_eq!(keys, running.model.api_keys().await.unwrap());
    let mut ends: Vec<_> =
        keys.iter().map(|key| (key.label.as_str(), key.expires_at.map(|end| end.0))).collect();
    ends.sort_unstable();
    assert_eq!(
        ends,
        [("key gate", None), ("key till", None), ("key till", Some(1100)), ("key till", Some(1100))]
    );
    running.stops().await;
}

async fn a_revoked_key_names_nobody_and_stays_listed(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.adds_api_key("till").await;
    world.adds_api_key("gate").await;
    let revoked = world.revokes_api_key("till").await;
    assert!(running.projector.shows(&revoked, LIMIT).await);
    let owner = async |key: &str| running.model.grant_of_key(&Digest::of(key.as_bytes()), NOW).await.unwrap();
    assert_eq!(owner("till").await, None);
    assert_eq!(owner("gate").await.map(|grant| grant.organization_id), Some(club()));
    let keys = running.model.api_keys().await.unwrap();
    let mut told: Vec<_> = keys.iter().map(|key| (key.label.as_str(), key.revoked)).collect();
    told.sort_unstable();
    assert_eq!(told, [("key gate", false), ("key till", true)]);
    assert!(keys.iter().all(|key| key.organization_name == "The club" && key.added_at.0 == 1_700_000_000));
    assert_eq!(running.model.organization_name(&club()).await.unwrap().as_deref(), Some("The club"));
    running.stops().await;
}

async fn a_certificate_is_shown_as_it_was_installed_renewed_resealed_and_revoked_last(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let asks = async |name: &str, command| world.asks_certificate(name, command).await.unwrap().position;
    let shown = async |name: &str| {
        running.reaches(world.head()).await;
        running.model.certificate(&pass_type(name)).await.unwrap()
    };
    assert_eq!(shown(TICKET).await, None);

    let install = |name, certificate| CertificateCommand::Install(installation(name, certificate).into());
    let first = asks(TICKET, install(TICKET, "2026")).await;
    let other = asks(OTHER, install(OTHER, "other")).await;
    let row = shown(TICKET).await.unwrap();
    assert_eq!(row.installation, installation(TICKET, "2026"));
    assert_eq!((row.installed_at.0, row.revoked, row.position), (1_700_000_000, false, first));

    asks(TICKET, install(TICKET, "2027")).await;
    assert_eq!(shown(TICKET).await.unwrap().installation, installation(TICKET, "2027"));

    let fingerprint = Digest::of(b"2027");
    let reseal = CertificateCommand::Reseal { fingerprint, private_key: sealed(5) };
    let resealed_at = asks(TICKET, reseal).await;
    let row = shown(TICKET).await.unwrap();
    assert_eq!((row.installation.private_key, row.position), (sealed(5), resealed_at));

    let revoked_at = asks(TICKET, CertificateCommand::Revoke).await;
    let row = shown(TICKET).await.unwrap();
    assert!(row.revoked && row.position == revoked_at);

    let changed_after = async |position| {
        let rows = running.model.certificates_changed_after(position).await.unwrap();
        rows.into_iter().map(|row| row.installation.pass_type_identifier.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(changed_after(Position(0)).await, [OTHER, TICKET]);
    assert_eq!(changed_after(other).await, [TICKET]);
    assert_eq!(changed_after(revoked_at).await, Vec::<String>::new());
    asks(TICKET, install(TICKET, "2027")).await;
    assert!(!shown(TICKET).await.unwrap().revoked, "it may come back");
    running.stops().await;
    assert_same(&world.tables().await, &world.projected_anew().await);
}

async fn an_apns_key_is_shown_as_it_was_installed_resealed_and_revoked_last(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let asks = async |key, command| world.asks_apns_key(key, command).await.unwrap().position;
    let shown = async |key| {
        running.reaches(world.head()).await;
        running.model.apns_key(&apns_key_id(key)).await.unwrap()
    };
    assert_eq!(shown(1).await, None);

    let install = |key, file| ApnsKeyCommand::Install(apns_key(key, file));
    asks(1, install(1, "wrong")).await;
    let first = asks(1, install(1, "right")).await;
    let second = asks(2, install(2, "second")).await;
    let row = shown(1).await.unwrap();
    assert_eq!(row.installation, apns_key(1, "right"));
    assert_eq!(
        (row.installed_at.0, row.active, row.installed, row.position),
        (1_700_000_000, true, first, first)
    );

    let reseal = ApnsKeyCommand::Reseal { fingerprint: Digest::of(b"right"), private_key: sealed(5) };
    let resealed_at = asks(1, reseal).await;
    let row = shown(1).await.unwrap();
    assert_eq!((row.installation.private_key, row.position), (sealed(5), resealed_at));
    assert_eq!((row.installed, row.active), (first, true), "a new seal makes no newer key");

    let revoked_at = asks(1, ApnsKeyCommand::Revoke).await;
    let row = shown(1).await.unwrap();
    assert!(!row.active && row.position == revoked_at);

    let changed_after = async |position| {
        let rows = running.model.apns_keys_changed_after(position).await.unwrap();
        rows.into_iter().map(|row| row.installation.id()).collect::<Vec<_>>()
    };
    assert_eq!(changed_after(Position(0)).await, [apns_key_id(2), apns_key_id(1)]);
    assert_eq!(changed_after(second).await, [apns_key_id(1)]);
    assert_eq!(changed_after(revoked_at).await, []);
    let again = asks(1, install(1, "right")).await;
    let row = shown(1).await.unwrap();
    assert!(row.active && row.installed == again, "it may come back, as the newest");
    running.stops().await;
    assert_same(&world.tables().await, &world.projected_anew().await);
}

async fn a_device_whose_token_is_dead_is_gone_with_all_its_passes_of_the_type(engine: Engine) {
    let world = World::new(engine).await;
    for id in [ticket("A"), ticket("B"), pass_id(OTHER, "A")] {
        world.issues(&id, "1").await;
        world.registers("phone-1", &id, "dead").await;
        world.registers("phone-2", &id, "alive").await;
    }
    world.time_passes();
    assert_eq!(world.registers("phone-2", &ticket("A"), "alive").await.events.len(), 1, "it is noted");
    assert_eq!(world.forgets("phone-1", &ticket("A"), "dead").await.events.len(), 2);
    assert_eq!(world.forgets("phone-2", &ticket("A"), "dead").await.events.len(), 0);
    let running = world.projects().await;
    running.reaches(world.head()).await;
    running.stops().await;
    let left = "select device_library_identifier || ' ' || pass_type_identifier || ' ' || serial_number from wallet_registration where deleted_at is null order by 1";
    let expected = [
        format!("phone-1 {OTHER} A"),
        format!("phone-2 {OTHER} A"),
        format!("phone-2 {TICKET} A"),
        format!("phone-2 {TICKET} B"),
    ];
    assert_eq!(world.column(left).await, expected);
    let last_words = format!(
        "select device_library_identifier || ' ' || case when registered_at >= 1700000001 then 'late' else 'early' end
         from wallet_device where pass_type_identifier = '{TICKET}' and deleted_at is null order by 1"
    );
    assert_eq!(world.column(&last_words).await, ["phone-2 late"]);
    assert_same(&world.tables().await, &world.projected_anew().await);
}

async fn a_command_is_shown_once_it_is_projected_and_not_before(engine: Engine) {
    let world = World::new(engine).await;
    let issued = world.issues(&ticket("A"), "1").await;
    let running = world.projects().await;
    assert!(running.projector.shows(&issued, LIMIT).await);
    let checkpoint = running.model.checkpoint(WALLET).await.unwrap();
    assert_eq!(checkpoint, issued.position);
    let projector = running.projector.clone();
    running.stops().await;

    let later = world.changes(&ticket("A"), "2").await;
    assert!(projector.shows(&issued, Duration::ZERO).await, "what was shown stays shown");
    assert!(!projector.shows(&later, LIMIT).await, "nobody projects any more, so nobody waits for it");
}

async fn a_wait_for_what_does_not_come_ends(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    let never = Committed::<BrandAssets> {
        aggregate_id: BRAND_ID.into(),
        aggregate: BrandAssets::default().into(),
        events: Vec::new(),
        position: Position(u64::MAX),
    };
    assert!(!soon("an answer", running.projector.shows(&never, Duration::from_millis(50))).await);
    running.stops().await;
}

async fn a_projector_whose_handle_was_dropped_goes_on_until_it_is_stopped(engine: Engine) {
    let world = World::new(engine).await;
    let Running { model, projector, stop, task } = world.projects().await;
    let mut progress = projector.progress();
    drop(projector);
    for seat in ["1", "2"] {
        let position = if seat == "1" {
            world.issues(&ticket("A"), seat).await
        } else {
            world.changes(&ticket("A"), seat).await
        }
        .position;
        soon("the projection", progress.wait_for(|progress| progress.position == position)).await.unwrap();
    }
    stop.cancel();
    soon("the end", task).await.unwrap();
    model.close().await;
}

async fn operations_are_refused_when_the_projector_has_stopped(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let projector = running.projector.clone();
    running.stops().await;
    let refused = soon("an answer", projector.retry(Position(1))).await.unwrap_err();
    assert!(matches!(refused, honoken_projections::OperationError::Stopped), "{refused}");
}

/// Three batches of passes, followed by a reader that asks for the checkpoint and the rows in one statement.
async fn a_reader_sees_a_batch_whole_or_not_at_all(engine: Engine) {
    let world = std::sync::Arc::new(World::new(engine).await);
    let before = world.head().0;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..1200 {
        let world = world.clone();
        tasks.spawn(async move { world.issues(&ticket(&number.to_string()), "1").await.position });
    }
    tasks.join_all().await;
    assert_eq!(world.log.read_after(Position(before), 2000).await.unwrap().len(), 1200);

    let running = world.projects().await;
    let mut connection = world.sql().await;
    let mut seen = std::collections::BTreeSet::new();
    let follow = async {
        while seen.last() != Some(&world.head().0) {
            let counts = connection
                .column(
                    "select coalesce((select position from projection_checkpoint), 0) || ' ' ||
                            (select count(*) from wallet_pass) || ' ' || (select count(*) from wallet_pass_content)",
                )
                .await;
            let counts: Vec<u64> = counts[0].split(' ').map(|count| count.parse().unwrap()).collect();
            let position = counts[0];
            let expected = position.saturating_sub(before);
            assert_eq!(counts[1..], [expected, expected], "at {position}");
            seen.insert(position);
        }
    };
    soon("the projection", follow).await;
    running.stops().await;
}

on_both_engines! {
    every_change_of_a_pass_is_in_its_row_with_the_tag_and_the_time_of_the_event,
    a_pass_of_the_same_serial_number_and_another_type_is_another_pass,
    a_pass_that_nobody_issued_is_not_there,
    a_command_that_changes_nothing_leaves_the_row_alone,
    a_pass_counts_the_devices_that_hold_it,
    a_pass_type_is_shown_with_its_owner_its_images_and_the_brands,
    a_pass_type_is_answered_with_what_the_pass_is_if_there_is_one,
    a_poster_is_known_as_one,
    a_key_names_the_organization_it_was_given_to,
    a_key_has_the_scopes_that_it_was_given_last,
    a_key_names_nobody_from_its_end_on,
    a_revoked_key_names_nobody_and_stays_listed,
    a_certificate_is_shown_as_it_was_installed_renewed_resealed_and_revoked_last,
    an_apns_key_is_shown_as_it_was_installed_resealed_and_revoked_last,
    a_device_whose_token_is_dead_is_gone_with_all_its_passes_of_the_type,
    a_command_is_shown_once_it_is_projected_and_not_before,
    a_wait_for_what_does_not_come_ends,
    a_projector_whose_handle_was_dropped_goes_on_until_it_is_stopped,
    operations_are_refused_when_the_projector_has_stopped,
    a_reader_sees_a_batch_whole_or_not_at_all,
}
