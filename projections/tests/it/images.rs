//! Which images are an organisation's own.

use std::collections::BTreeSet;

use honoken_domain::ids::{Digest, OrganizationId};
use honoken_domain::images::Images;
use honoken_domain::pass::{IssuePass, PassCommand};

use crate::world::{Engine, OTHER, Running, World, club, on_both_engines, order, ticket};

fn digests(images: &[&[u8]]) -> BTreeSet<Digest> {
    images.iter().map(|image| Digest::of(image)).collect()
}

fn another() -> OrganizationId {
    OrganizationId::parse("another").unwrap()
}

async fn own(running: &Running, organization_id: &OrganizationId, images: &[&[u8]]) -> BTreeSet<Digest> {
    running.model.own_images(organization_id, &digests(images)).await.unwrap()
}

async fn an_upload_is_its_organisations_alone_and_keeps_its_size(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    assert_eq!(own(&running, &club(), &[b"logo"]).await, digests(&[]));
    world.uploads(&club(), b"logo").await;
    world.uploads(&another(), b"logo").await;
    world.uploads(&another(), b"theirs").await;
    running.reaches(world.head()).await;
    assert_eq!(own(&running, &club(), &[b"logo", b"theirs", b"nobody's"]).await, digests(&[b"logo"]));
    assert_eq!(own(&running, &another(), &[b"logo", b"theirs"]).await, digests(&[b"logo", b"theirs"]));
    let sizes = world.column("select cast(bytes as text) from wallet_image order by bytes").await;
    assert_eq!(sizes, ["4", "4", "6"]);
    running.stops().await;
}

async fn what_a_pass_or_a_pass_type_was_ever_given_is_own_and_what_it_falls_back_to_is_not(engine: Engine) {
    let world = World::new(engine).await;
    let a = ticket("A");
    let PassCommand::Issue(issue) = order(&a, "1") else { unreachable!("an order") };
    let assets = Images::from([("logo.png".to_owned(), Digest::of(b"ordered"))]);
    world.asks(&a, PassCommand::Issue(Box::new(IssuePass { assets, ..*issue }))).await.unwrap();
    let put = |image: &[u8]| PassCommand::PutAsset { file: "logo.png".into(), digest: Digest::of(image) };
    world.asks(&a, put(b"put")).await.unwrap();
    world.asks(&a, PassCommand::RemoveAsset { file: "logo.png".into() }).await.unwrap();
    world.puts_type_image(OTHER, "logo.png", "once of the type").await;
    world.puts_type_image(OTHER, "logo.png", "of the type").await;
    world.puts_brand_image("icon.png", "brand icon").await;
    let given: [&[u8]; 4] = [b"ordered", b"put", b"once of the type", b"of the type"];
    let running = world.projects().await;
    running.reaches(world.head()).await;
    let asked = [given.as_slice(), &[b"brand icon", b"nobody's"]].concat();
    assert_eq!(own(&running, &club(), &asked).await, digests(&given));
    assert_eq!(own(&running, &another(), &asked).await, digests(&[]));
    let (mut all, mut after) = (Vec::new(), None);
    while let Some(next) =
        running.model.images_of_organizations(after.as_ref(), 2).await.unwrap().last().cloned()
    {
        all.extend(running.model.images_of_organizations(after.as_ref(), 2).await.unwrap());
        after = Some(next);
    }
    assert!(all.iter().all(|(owner, _)| *owner == club()));
    assert_eq!(all.into_iter().map(|(_, digest)| digest).collect::<BTreeSet<_>>(), digests(&given));
    // How large they are is known when they are uploaded.
    let unknown = "select cast(count(*) as text) from wallet_image where bytes is null";
    assert_eq!(world.column(unknown).await, ["4"]);
    world.uploads(&club(), b"put").await;
    running.reaches(world.head()).await;
    assert_eq!(world.column(unknown).await, ["3"]);
    running.stops().await;
}

async fn an_image_that_was_removed_counts_no_more_and_stays_its_organisations(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.uploads(&club(), b"logo").await;
    world.uploads(&club(), b"icons").await;
    let counted = async || running.model.counted_images(None, 10).await.unwrap();
    world.removes_upload(&club(), b"logo").await;
    running.reaches(world.head()).await;
    assert_eq!(counted().await, [(club(), Digest::of(b"icons"))]);
    assert_eq!(own(&running, &club(), &[b"logo"]).await, digests(&[b"logo"]));
    world.uploads(&club(), b"logo").await;
    running.reaches(world.head()).await;
    assert_eq!(counted().await.len(), 2);
    let first = counted().await.remove(0);
    assert_eq!(running.model.counted_images(Some(&first), 10).await.unwrap().len(), 1);
    running.stops().await;
}

on_both_engines! {
    an_image_that_was_removed_counts_no_more_and_stays_its_organisations,
    an_upload_is_its_organisations_alone_and_keeps_its_size,
    what_a_pass_or_a_pass_type_was_ever_given_is_own_and_what_it_falls_back_to_is_not,
}
